//! Parts of a URL: path templates, and percent-encoded values.

use percent_encoding::percent_decode_str;

/// A path template, such as `/things/{id}:do`.
#[derive(Debug)]
pub struct Template(Vec<Segment>);

#[derive(Debug)]
enum Segment {
    Literal(String),
    /// A parameter, and the suffix in the same segment.
    Parameter(String, String),
}

impl Template {
    pub fn parse(path: &str) -> Self {
        let segment = |segment: &str| match segment.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some((name, suffix)) => Segment::Parameter(name.to_owned(), suffix.to_owned()),
            None => Segment::Literal(segment.to_owned()),
        };
        Self(path.split('/').map(segment).collect())
    }

    /// The names and the raw values of the parameters, if the path matches. An encoded suffix does not match: it
    /// belongs to the value.
    pub fn matches<'a, 'b>(&'a self, path: &'b str) -> Option<Vec<(&'a str, &'b str)>> {
        let mut parameters = Vec::new();
        let mut given = path.split('/');
        for segment in &self.0 {
            match (segment, given.next()?) {
                (Segment::Literal(text), given) if text == given => {}
                (Segment::Parameter(name, suffix), given) => parameters.push((&**name, given.strip_suffix(&**suffix)?)),
                _ => return None,
            }
        }
        given.next().is_none().then_some(parameters)
    }

    /// The number of bytes that are not parameters. Of several matches, the one with the most is the most specific.
    pub fn fixed(&self) -> usize {
        let fixed = |segment: &Segment| match segment {
            Segment::Literal(text) | Segment::Parameter(_, text) => text.len(),
        };
        self.0.iter().map(fixed).sum()
    }
}

/// Decodes a value. Returns `None` if a character other than letters, digits and `-._~` is not encoded.
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
    fn encoded_verb_belongs_to_the_id() {
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
    fn reserved_characters_must_be_encoded() {
        for (raw, value) in [("a-._~9", "a-._~9"), ("a%2Fb%20c", "a/b c"), ("%C3%A4", "ä")] {
            assert_eq!(decoded(raw).as_deref(), Some(value));
        }
        for raw in ["a:b", "a+b", "a%2", "%zz", "ä", "a b", "%FF"] {
            assert_eq!(decoded(raw), None, "{raw}");
        }
    }
}
