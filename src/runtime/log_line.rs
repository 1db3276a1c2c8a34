//! Writes log lines, one for each event, whatever the event contains. Otherwise a text with a line break could forge a line.

use std::io::{self, Write};

use crate::harmless::harmless;

/// Writes each event as one visible line to `W`, without colors: an event could forge their escape sequences too.
pub struct LogLine<W>(pub W);

impl<W: Write> Write for LogLine<W> {
    /// `event` is a complete event, as the formatter of `tracing_subscriber` writes it.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = harmless(text.strip_suffix('\n').unwrap_or(&text));
        self.0.write_all(format!("{line}\n").as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz::text;
    use crate::harmless::is_invisible;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines of an event with this value, in a format.
    fn lines(value: &str, json: bool) -> String {
        let log = Log::default();
        let to = log.clone();
        let builder = tracing_subscriber::fmt().with_writer(move || LogLine(to.clone())).with_ansi(false);
        let event = || tracing::error!(field = value, error = %value, debug = ?value, "{value}");
        if json {
            tracing::subscriber::with_default(builder.json().flatten_event(true).finish(), event);
        } else {
            tracing::subscriber::with_default(builder.finish(), event);
        }
        String::from_utf8(log.0.lock().clone()).unwrap()
    }

    fn assert_one_line(value: &str) {
        for json in [true, false] {
            let lines = lines(value, json);
            let line = lines.strip_suffix('\n').unwrap();
            assert!(!line.contains(|c: char| c.is_control() || is_invisible(c)), "{line:?}");
            assert!(!json || serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn event_is_one_visible_line_in_each_format() {
        for value in
            ["", "a\nERROR forged", "a\r\nb\u{2028}c\u{85}d", "\u{1b}[31mred\u{1b}[0m", "\u{202e}\u{200b}\0\u{9b}31m"]
        {
            assert_one_line(value);
        }
        crate::fuzz::run("log lines", &text(), |value| assert_one_line(&value));
    }

    proptest! {
        #[test]
        fn any_event_is_one_visible_line(value in any::<String>()) {
            assert_one_line(&value);
        }
    }
}
