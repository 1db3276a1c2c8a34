//! A collection that remembers when and in which order things were put there, and lists them in another order.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Things of one kind by their id.
#[derive(Debug)]
pub(super) struct Shelf<T> {
    items: HashMap<String, Item<T>>,
    next: u32,
}

#[derive(Debug)]
struct Item<T> {
    number: u32,
    since: Instant,
    value: T,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { items: HashMap::new(), next: 0 }
    }
}

impl<T> Shelf<T> {
    pub fn put(&mut self, id: &str, value: T) {
        let item = Item { number: self.next, since: Instant::now(), value };
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

    /// All, oldest first: for tests.
    pub fn oldest_first(&self) -> Vec<&T> {
        let mut items: Vec<&Item<T>> = self.items.values().collect();
        items.sort_by_key(|item| item.number);
        items.into_iter().map(|item| &item.value).collect()
    }

    /// Those that fit and are at least that old, as the service lists them. It defines no order, so this one is stable but
    /// neither oldest nor newest first, and what is new may come anywhere: the bits of the number, turned around.
    pub fn listed(&self, age: Duration, fits: impl Fn(&T) -> bool) -> Vec<&T> {
        let shown = |item: &&Item<T>| item.since.elapsed() >= age && fits(&item.value);
        let mut items: Vec<&Item<T>> = self.items.values().filter(shown).collect();
        items.sort_by_key(|item| (!item.number).reverse_bits());
        items.into_iter().map(|item| &item.value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listed_order_is_neither_that_of_creation_nor_its_reverse() {
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
