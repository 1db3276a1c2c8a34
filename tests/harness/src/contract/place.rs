//! Where something stands in a URL: paths with parameters in them, and values that are percent-encoded.

use percent_encoding::percent_decode_str;

/// A path of the document, such as `/things/{id}:do`.
#[derive(Debug)]
pub struct Template(Vec<Segment>);

#[derive(Debug)]
enum Segment {
    Literal(String),
    /// A parameter, and what stands behind it in the same segment.
    Parameter(String, String),
}

impl Template {
    pub fn parse(path: &str) -> Self {
        let segment = |segment: &str| match segment.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some((name, behind)) => Segment::Parameter(name.to_owned(), behind.to_owned()),
            None => Segment::Literal(segment.to_owned()),
        };
        Self(path.split('/').map(segment).collect())
    }

    /// The names and the raw values of the parameters, if this path is of this form. What stands behind a parameter has to
    /// stand there as it is: encoded, it belongs to the value.
    pub fn matches<'a, 'b>(&'a self, path: &'b str) -> Option<Vec<(&'a str, &'b str)>> {
        let mut parameters = Vec::new();
        let mut given = path.split('/');
        for segment in &self.0 {
            match (segment, given.next()?) {
                (Segment::Literal(text), given) if text == given => {}
                (Segment::Parameter(name, behind), given) => parameters.push((&**name, given.strip_suffix(&**behind)?)),
                _ => return None,
            }
        }
        given.next().is_none().then_some(parameters)
    }

    /// How much of it is not a parameter: of two that fit, the one with more of that is meant.
    pub fn fixed(&self) -> usize {
        let fixed = |segment: &Segment| match segment {
            Segment::Literal(text) | Segment::Parameter(_, text) => text.len(),
        };
        self.0.iter().map(fixed).sum()
    }
}

/// The value of a parameter, where all that is not a letter, a digit or one of `-._~` was encoded.
pub fn decoded(raw: &str) -> Option<String> {
    let mut rest = raw;
    while let Some(first) = rest.chars().next() {
        let digits = rest.get(1..3).is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        rest = match first {
            '%' if digits => &rest[3..],
            first if first.is_ascii_alphanumeric() || "-._~".contains(first) => &rest[1..],
            _ => return None,
        };
    }
    percent_decode_str(raw).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_stands_behind_the_id_as_it_is() {
        let (job, revoke) = (Template::parse("/jobs/{id}"), Template::parse("/jobs/{id}:revoke"));
        assert_eq!(revoke.matches("/jobs/one:revoke"), Some(vec![("id", "one")]));
        assert_eq!(revoke.matches("/jobs/one%3Arevoke"), None);
        assert_eq!(job.matches("/jobs/one%3Arevoke"), Some(vec![("id", "one%3Arevoke")]));
        assert!(revoke.fixed() > job.fixed());
        for other in ["/jobs", "/jobs/one/two", "/job/one", "jobs/one"] {
            assert_eq!(job.matches(other), None, "{other}");
        }
    }

    #[test]
    fn what_means_something_in_a_url_is_encoded_in_a_value() {
        for (raw, value) in [("a-._~9", "a-._~9"), ("a%2Fb%20c", "a/b c"), ("%C3%A4", "ä")] {
            assert_eq!(decoded(raw).as_deref(), Some(value));
        }
        for raw in ["a:b", "a+b", "a%2", "%zz", "ä", "a b", "%FF"] {
            assert_eq!(decoded(raw), None, "{raw}");
        }
    }
}
