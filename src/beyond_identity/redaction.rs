//! The one place that every text from outside passes before it is shown or stored: errors, and the fields of answers that
//! a status, a condition, an event or a log line may show.
//!
//! Only such texts pass it, never a finished line. Anyone who may write a Secret chooses a credential, and could otherwise
//! take words out of the lines of others.

use data_encoding::BASE64_NOPAD;
use percent_encoding::percent_decode_str;
use secrecy::zeroize::Zeroizing;

use super::client_credentials::form_encoded;
use super::secret::Secret;
use crate::harmless::is_invisible;

/// The most characters of a free text that are shown.
const LIMIT: usize = 300;

/// The longest word that is shown. The longest of the API's own states has 17 characters.
const WORD: usize = 64;

/// The length from which an unbroken run of letters and digits counts as a secret. A UUID has 36 characters.
const OPAQUE: usize = 40;

/// A credential of the call that is shorter than this could match an ordinary word. No free text is shown then.
const SHORT: usize = 8;

/// The same for the credentials of other calls, which other people choose.
const SHORT_OF_OTHERS: usize = 16;

const REDACTED: &str = "[redacted]";

/// Takes out of texts what must not be shown: the credentials in memory, and whatever looks like an email address, the
/// path or query of a link, or a secret.
#[derive(Debug)]
pub(super) struct Redactor {
    own: Vec<Credential>,
    others: Vec<Secret>,
    is_short: bool,
    shows_messages: bool,
}

/// A credential in the forms in which a text may contain it.
#[derive(Debug)]
struct Credential {
    plain: Secret,
    /// For each offset of the credential in the encoded bytes, the digits that depend on nothing else.
    base64: Vec<Zeroizing<String>>,
}

/// A text as it is and without its encodings.
struct Forms {
    plain: [String; 3],
    base64: [String; 3],
}

impl Redactor {
    /// For the response to a call with the secret `own`. `others` are further credentials in memory. Free texts are
    /// shown only if `shows_messages`.
    pub fn new(own: &Secret, others: Vec<Secret>, shows_messages: bool) -> Self {
        let is_short = own.expose().len() < SHORT;
        let own = if is_short { Vec::new() } else { vec![Credential::of(own.clone())] };
        Self { own, others, is_short, shows_messages }
    }

    /// For the response to a call with this token, and messages that are shown.
    #[cfg(test)]
    pub fn showing_messages(token: &str) -> Self {
        Self::new(&Secret::new(token), Vec::new(), true)
    }

    /// The same, and messages are not shown.
    #[cfg(test)]
    pub fn hiding_messages(token: &str) -> Self {
        Self::new(&Secret::new(token), Vec::new(), false)
    }

    /// A message of the service, if messages are shown.
    pub fn message(&self, text: &str) -> Option<String> {
        self.shows_messages.then(|| self.text(text)).filter(|shown| !shown.is_empty())
    }

    /// Free text on one line, without control characters and cut to [`LIMIT`] characters. Each word with something in
    /// it that must not be shown is replaced.
    pub fn text(&self, text: &str) -> String {
        if self.is_short {
            return String::new();
        }
        let text = visible(text);
        let mut words = Vec::new();
        let mut after_bearer = false;
        for word in text.split_whitespace() {
            let is_secret = after_bearer || self.finds_credential_in(word);
            words.push(if is_secret { REDACTED.to_owned() } else { redacted(word) });
            after_bearer = word.trim_end_matches(':').eq_ignore_ascii_case("bearer");
        }
        let line = words.join(" ");
        if line.chars().count() <= LIMIT {
            return line;
        }
        line.chars().take(LIMIT - 1).chain(['…']).collect()
    }

    /// The value of an enum or the code of an error: a word of letters, digits and underscores that begins with a letter.
    /// Anything else is replaced as a whole, because it could be a name or an address.
    pub fn word(&self, text: &str) -> String {
        (if self.is_word(text) { text } else { REDACTED }).to_owned()
    }

    /// Whether [`Self::word`] returns the text as it is.
    pub fn is_word(&self, text: &str) -> bool {
        text.len() <= WORD
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !is_opaque(text)
            && !self.finds_credential_in(text)
    }

    /// Whether a credential of this call is in the text, in any of its forms.
    pub fn finds_own_credential_in(&self, text: &str) -> bool {
        // No form is shorter than the credential.
        let mut own = self.own.iter().filter(|own| own.plain.expose().len() <= text.len()).peekable();
        own.peek().is_some() && {
            let forms = Forms::of(text);
            own.any(|credential| credential.is_in(&forms))
        }
    }

    /// Whether a credential in memory is in the text, in any of its forms.
    pub fn finds_credential_in(&self, text: &str) -> bool {
        let lengths = SHORT_OF_OTHERS..=text.len();
        let others = self.others.iter().filter(|other| lengths.contains(&other.expose().len()));
        let mut others = others.map(|other| Credential::of(other.clone()));
        self.finds_own_credential_in(text) || {
            let forms = Forms::of(text);
            others.any(|credential| credential.is_in(&forms))
        }
    }
}

impl Credential {
    fn of(plain: Secret) -> Self {
        let encoded = form_encoded(plain.expose());
        let mut base64 = in_base64(plain.expose());
        if encoded.as_str() != plain.expose() {
            base64.extend(in_base64(&encoded));
        }
        Self { plain, base64 }
    }

    fn is_in(&self, forms: &Forms) -> bool {
        forms.plain.iter().any(|text| text.contains(self.plain.expose()))
            || forms.base64.iter().any(|text| self.base64.iter().any(|digits| text.contains(digits.as_str())))
    }
}

/// The digits of the secret in base64 after 0, 1 and 2 other bytes. Digits that also depend on the bytes before or after
/// it are left out.
fn in_base64(secret: &str) -> Vec<Zeroizing<String>> {
    let at = |(before, skipped): (usize, usize)| {
        let bytes = Zeroizing::new([&vec![0; before], secret.as_bytes()].concat());
        let digits = Zeroizing::new(BASE64_NOPAD.encode(&bytes));
        let end = digits.len() - usize::from(bytes.len() % 3 != 0);
        Zeroizing::new(digits.get(skipped..end).unwrap_or_default().to_owned())
    };
    [(0, 0), (1, 2), (2, 3)].map(at).into_iter().filter(|digits| !digits.is_empty()).collect()
}

impl Forms {
    fn of(text: &str) -> Self {
        let text: String = text.chars().filter(|&c| !is_invisible(c)).collect();
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let once = decoded(&text);
        let twice = decoded(&once);
        let plain = [text, once, twice];
        // Both alphabets of base64 as one.
        let base64 = plain.each_ref().map(|text| text.replace('-', "+").replace('_', "/"));
        Self { plain, base64 }
    }
}

/// The text without invisible characters, which could split a secret, and with blanks for control characters.
fn visible(text: &str) -> String {
    let is_break = |c: char| c.is_control() || c.is_whitespace();
    text.chars().filter(|&c| is_break(c) || !is_invisible(c)).map(|c| if is_break(c) { ' ' } else { c }).collect()
}

/// A text of a spec, which contains no credential of others, without what looks like an email address, the path or query of
/// a link, or a secret.
pub(crate) fn without_addresses(text: &str) -> String {
    text.split_whitespace().map(redacted).collect::<Vec<_>>().join(" ")
}

fn redacted(word: &str) -> String {
    let at = |mark: &str| word.len() > mark.len() && word.contains(mark);
    if at("@") || at("%40") || at("\u{ff20}") || is_opaque(word) {
        return REDACTED.to_owned();
    }
    if let Some((before, link)) = word.split_once("://") {
        // The host helps to understand the message. A path may be as secret as a query: binding links are.
        let host = link.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        let rest = link.get(host.len()..).unwrap_or_default();
        let rest = if rest.is_empty() { "" } else { "/[redacted]" };
        return format!("{before}://{host}{rest}");
    }
    match word.split_once('?') {
        Some((path, query)) if query.contains('=') => format!("{path}?{REDACTED}"),
        _ => word.to_owned(),
    }
}

/// Whether the word contains a long run with both letters and digits, as keys and tokens do and field names do not.
fn is_opaque(word: &str) -> bool {
    word.split(|c: char| !c.is_ascii_alphanumeric() && !"-_.~+=".contains(c)).any(|run| {
        run.len() >= OPAQUE
            && run.contains(|c: char| c.is_ascii_digit())
            && run.contains(|c: char| c.is_ascii_alphabetic())
    })
}

#[cfg(test)]
mod tests {
    use data_encoding::{BASE64, BASE64URL_NOPAD};
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "secret-token-1";

    fn shown(text: &str) -> String {
        Redactor::showing_messages(TOKEN).text(text)
    }

    #[test]
    fn addresses_are_redacted() {
        for text in [
            "jane.doe@example.com",
            "<jane@example.com>,",
            "{\"email\":\"jane@example.com\"}",
            "jane%40example.com",
            "jane\u{200b}@example.com",
            "jane＠example.com",
            "mailto:jane@example.com",
            "https://jane@example.com/",
        ] {
            let line = shown(&format!("identity {text} is unknown"));
            assert_eq!(line, "identity [redacted] is unknown");
        }
        assert_eq!(shown("meet @ noon"), "meet @ noon");
    }

    #[test]
    fn link_is_reduced_to_its_host() {
        assert_eq!(
            shown("see https://user.example.com/v1/jobs/1:invokeAuthenticator?token=abc now"),
            "see https://user.example.com/[redacted] now"
        );
        assert_eq!(shown("origin http://localhost:8092 is refused"), "origin http://localhost:8092 is refused");
        assert_eq!(shown("at /jobs/1:invoke?token=abc."), "at /jobs/1:invoke?[redacted]");
        assert_eq!(shown("really?yes"), "really?yes");
    }

    #[test]
    fn tokens_are_redacted() {
        assert_eq!(shown("token secret-token-1, bad"), "token [redacted] bad");
        assert_eq!(shown("token secret-\u{200b}to\u{2060}ken-1, bad"), "token [redacted] bad");
        assert_eq!(shown("header Authorization: Bearer abc x"), "header Authorization: Bearer [redacted] x");
        let opaque = "1St9IKIIrYyQ8sOSeuk5UkbLKnBJhuD4I7nWIqt-BNANDEFS";
        assert_eq!(shown(&format!("key=\"{opaque}\" is bad")), "[redacted] is bad");
        for plain in ["credential_binding_job.post_binding_redirect_uri", "4e129fc8-29eb-440a-9c43-5e6bd419e416"] {
            assert_eq!(shown(plain), plain);
        }
    }

    #[test]
    fn redacted_text_is_one_bounded_line() {
        assert_eq!(shown("a\nb\u{1b}[31m\u{202e}c\0"), "a b [31mc");
        assert_eq!(shown("a\u{2028}b\u{61c}\u{2069}c\u{2029}d"), "a bc d");
        let long = shown(&"ä ".repeat(100_000));
        assert_eq!(long.chars().count(), LIMIT);
        assert!(long.ends_with('…'));
        // Truncation comes after redaction. Otherwise half an address could remain.
        let late = shown(&format!("{} jane@example.com", "x ".repeat(145)));
        assert!(!late.contains("jane"));
    }

    #[test]
    fn only_a_word_is_shown_for_an_enum() {
        let word = |text: &str| Redactor::showing_messages("TOP_SECRET").word(text);
        for shown in ["LINK_SENT", "suspended", "hosted_web", "Oauth2"] {
            assert_eq!(word(shown), shown);
        }
        let long = "A".repeat(WORD + 1);
        let opaque = format!("A1{}", "B".repeat(OPAQUE));
        for hidden in [
            "",
            "jane.doe",
            "+4915112345",
            "015112345",
            "Jane Doe",
            "jane@example.com",
            "COMPLETE\u{200b}",
            "A\nB",
            "ä",
            "_A",
            "TOP_SECRET",
            "XTOP_SECRETX",
            &long,
            &opaque,
        ] {
            assert_eq!(word(hidden), REDACTED, "{hidden:?}");
        }
    }

    #[test]
    fn short_credential_hides_every_message() {
        assert_eq!(Redactor::showing_messages("the").message("the client is unknown"), None);
        let quiet = Redactor::hiding_messages(TOKEN);
        assert_eq!(quiet.message("the client is unknown"), None);
        assert_eq!(
            Redactor::showing_messages(TOKEN).message("the client is unknown").as_deref(),
            Some("the client is unknown")
        );
    }

    #[test]
    fn credentials_of_other_calls_are_redacted_unless_they_could_be_words() {
        let others = ["not_found_at_all_", "not_found"].map(Secret::new).to_vec();
        let redactor = Redactor::new(&Secret::new(TOKEN), others, true);
        assert_eq!(redactor.text("not_found not_found_at_all_"), "not_found [redacted]");
        assert_eq!(redactor.word("not_found"), "not_found");
        assert_eq!(redactor.word("not_found_at_all_"), REDACTED);
        assert!(!redactor.finds_own_credential_in("not_found_at_all_"));
    }

    /// Ways to write a credential.
    fn form() -> impl Strategy<Value = fn(&str) -> String> {
        let forms: Vec<fn(&str) -> String> = vec![
            |text| text.to_owned(),
            |text| BASE64.encode(text.as_bytes()),
            |text| BASE64URL_NOPAD.encode(text.as_bytes()),
            |text| BASE64.encode(form_encoded(text).as_bytes()),
            |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(),
            |text| form_encoded(&form_encoded(text)).to_string(),
            |text| text.bytes().map(|byte| format!("%{byte:02x}")).collect(),
            |text| text.chars().flat_map(|c| [c, '\u{200b}']).collect(),
        ];
        proptest::sample::select(forms)
    }

    proptest! {
        #[test]
        fn credential_is_found_in_every_form(
            secret in "[!-~]{8,40}", before in "[a-zA-Z0-9:/._-]{0,5}", after in "[a-zA-Z0-9:/._-]{0,5}", form in form(),
        ) {
            for text in [format!("{before}{}{after}", form(&secret)), form(&format!("{before}{secret}{after}"))] {
                prop_assert!(Redactor::showing_messages(&secret).finds_own_credential_in(&text), "{}", text);
                prop_assert_eq!(Redactor::showing_messages(&secret).word(&text), REDACTED);
                prop_assert_eq!(Redactor::showing_messages(&secret).text(&format!("a {text} b")), "a [redacted] b");
                let others = Redactor::new(&Secret::new("unrelated"), vec![Secret::new(&secret)], true);
                prop_assert!(secret.len() < SHORT_OF_OTHERS || others.finds_credential_in(&text), "{}", text);
            }
        }
    }
}
