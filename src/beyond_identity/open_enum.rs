//! Enums with an open list of values: an unknown value is preserved.

/// Declares an enum of strings with an `Other` variant, converting from and to strings without loss.
macro_rules! open_enum {
    ($(#[$about:meta])* $name:ident { $($(#[$about_variant:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$about_variant])* $variant,)*
            /// A value that this client does not know, as the API wrote it, or `[redacted]`.
            Other(String),
        }

        impl $name {
            /// The value as the API writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(text) => text,
                }
            }

            /// Redacts a value that this client does not know.
            #[allow(dead_code)] // not every enum is in a response
            pub(super) fn redact(&mut self, redactor: &super::redaction::Redactor) {
                if let Self::Other(text) = self {
                    *text = redactor.word(text);
                }
            }

            /// The value, if this client knows it.
            #[must_use]
            pub fn known(&self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($text),)*
                    Self::Other(_) => None,
                }
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                match text.as_str() {
                    $($text => Self::$variant,)*
                    _ => Self::Other(text),
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::from(text.to_owned())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(deserializer).map(Self::from)
            }
        }
    };
}

pub(super) use open_enum;
