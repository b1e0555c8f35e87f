//! The fields of a log line without colours, as `tracing_subscriber` writes them: its own formatter paints each name, be
//! it in no colour, and takes every message apart letter by letter, which is most of the cost of a line.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// `message name=value name=value`. Control characters that a terminal would obey are written out, wherever they stand.
#[derive(Debug)]
pub(crate) struct PlainFields;

impl<'writer> FormatFields<'writer> for PlainFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut line = Line {
            writer,
            separator: "",
            result: Ok(()),
        };
        fields.record(&mut line);
        line.result
    }
}

struct Line<'writer> {
    writer: Writer<'writer>,
    separator: &'static str,
    result: fmt::Result,
}

impl Line<'_> {
    fn write(&mut self, name: &str, value: &dyn fmt::Debug) -> fmt::Result {
        self.writer.write_str(self.separator)?;
        if name != "message" {
            self.writer.write_str(name.strip_prefix("r#").unwrap_or(name))?;
            self.writer.write_char('=')?;
        }
        write!(Harmless(&mut self.writer), "{value:?}")
    }
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // What the crate `log` says of where a line comes from stands before the fields.
        if self.result.is_err() || field.name().starts_with("log.") {
            return;
        }
        self.result = self.write(field.name(), value);
        self.separator = " ";
    }
}

struct Harmless<'a, W>(&'a mut W);

impl<W: Write> Write for Harmless<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // As a rule there is nothing but ASCII, and no control character.
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return self.0.write_str(text);
        }
        text.chars().try_for_each(|character| match character {
            '\x1b' | '\x07' | '\x08' | '\x0c' | '\x7f' => write!(self.0, "\\x{:02x}", u32::from(character)),
            '\u{80}'..='\u{9f}' => write!(self.0, "\\u{{{:x}}}", u32::from(character)),
            character => self.0.write_char(character),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::{Layer, MakeWriter};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    fn lines<F: for<'a> FormatFields<'a> + Send + Sync + 'static>(fields: F, log: fn()) -> String {
        let lines = Lines::default();
        let layer = Layer::default().with_ansi(false).without_time();
        let layer = layer.with_writer(lines.clone()).fmt_fields(fields);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn log() {
        let span = tracing::info_span!("request", request.id = %"one-two");
        let _in_the_request = span.enter();
        let (client, absent) = ("gateway", None::<&str>);
        tracing::info!(client.id = %client, quoted = client, absent, number = 7, r#type = ?Some(1), "token for {client}");
        tracing::warn!("umlaut ä, escape \x1b[31m, bell \x07, delete \x7f, C1 \u{9b}");
        tracing::error!(alone = true);
    }

    #[test]
    fn writes_what_the_library_writes() {
        let library = lines(tracing_subscriber::fmt::format::DefaultFields::new(), log);
        assert_eq!(lines(PlainFields, log), library);
        assert!(library.contains("request{request.id=one-two}: "), "{library}");
        assert!(
            library.contains(r"escape \x1b[31m, bell \x07, delete \x7f, C1 \u{9b}"),
            "{library}"
        );
    }

    #[test]
    fn lets_no_field_speak_to_the_terminal() {
        let line = lines(PlainFields, || tracing::info!(name = %"\x1b[2J", "sent"));
        assert!(line.ends_with("sent name=\\x1b[2J\n"), "{line}");
    }
}
