//! A collection that records the time and order of insertion. Lists have a different order.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Objects of one kind, by id.
#[derive(Debug)]
pub(super) struct Shelf<T> {
    items: HashMap<String, Item<T>>,
    next: u32,
}

#[derive(Debug)]
struct Item<T> {
    number: u32,
    inserted: Instant,
    value: T,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { items: HashMap::new(), next: 0 }
    }
}

impl<T> Shelf<T> {
    pub fn put(&mut self, id: &str, value: T) {
        let item = Item { number: self.next, inserted: Instant::now(), value };
        self.next += 1;
        self.items.insert(id.to_owned(), item);
    }

    pub fn get(&self, id: &str) -> Option<&T> {
        self.items.get(id).map(|item| &item.value)
    }

    pub fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.items.get_mut(id).map(|item| &mut item.value)
    }

    pub fn each_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.items.values_mut().map(|item| &mut item.value)
    }

    pub fn take(&mut self, id: &str) -> Option<T> {
        self.items.remove(id).map(|item| item.value)
    }

    /// All objects, oldest first, for tests.
    pub fn oldest_first(&self) -> Vec<&T> {
        let mut items: Vec<&Item<T>> = self.items.values().collect();
        items.sort_by_key(|item| item.number);
        items.into_iter().map(|item| &item.value).collect()
    }

    /// The matching objects of at least this age, in list order. The service defines no order. So this one reverses the
    /// bits of the insertion number: it is stable, but neither oldest nor newest first.
    pub fn listed(&self, age: Duration, matches: impl Fn(&T) -> bool) -> Vec<&T> {
        let shown = |item: &&Item<T>| item.inserted.elapsed() >= age && matches(&item.value);
        let mut items: Vec<&Item<T>> = self.items.values().filter(shown).collect();
        items.sort_by_key(|item| (!item.number).reverse_bits());
        items.into_iter().map(|item| &item.value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_order_is_neither_oldest_nor_newest_first() {
        let mut shelf = Shelf::default();
        for number in 0..6 {
            shelf.put(&number.to_string(), number);
        }
        assert_eq!(shelf.oldest_first(), [&0, &1, &2, &3, &4, &5]);
        assert_eq!(shelf.listed(Duration::ZERO, |_| true), [&3, &5, &1, &2, &4, &0]);
        shelf.put("6", 6);
        assert_eq!(shelf.listed(Duration::ZERO, |_| true), [&3, &5, &1, &6, &2, &4, &0]);
    }
}
