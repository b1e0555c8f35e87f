//! Log lines without colours, as `tracing_subscriber` writes them: its own formatters paint each name, be it in no
//! colour, and take every message apart letter by letter, which is most of the cost of a line.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

/// `time level span{fields}: target: fields`.
#[derive(Debug)]
pub(crate) struct PlainLine;

impl<S> FormatEvent<S, PlainFields> for PlainLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, PlainFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        // Of what comes by the crate `log` the library knows how to tell level and target.
        if metadata.target() == "log" {
            return Format::default()
                .with_ansi(false)
                .format_event(context, writer, event);
        }
        at_once(&mut writer, |text| {
            if write_time(text, SystemTime::now()).is_err() {
                text.push_str("<unknown time>");
            }
            text.push_str(level(*metadata.level()));
            if let Some(span) = context.event_scope().and_then(|mut scope| scope.next()) {
                push_spans(text, &span);
                text.push(' ');
            }
            text.push_str(metadata.target());
            text.push_str(": ");
            write_fields(text, event)?;
            text.push('\n');
            Ok(())
        })
    }
}

/// A span, after those that it is in.
fn push_spans<'a, S: LookupSpan<'a>>(text: &mut String, span: &SpanRef<'a, S>) {
    if let Some(outer) = span.parent() {
        push_spans(text, &outer);
    }
    text.push_str(span.name());
    if let Some(fields) = span.extensions().get::<FormattedFields<PlainFields>>()
        && !fields.is_empty()
    {
        text.push('{');
        text.push_str(fields);
        text.push('}');
    }
    text.push(':');
}

thread_local! {
    /// The second that was written last, and how: with its point, and without what follows.
    static LATEST_SECOND: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
}

/// `2026-11-22T17:34:17.012345Z`: the date is worked out once a second.
fn write_time(line: &mut String, time: SystemTime) -> fmt::Result {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let second = since_epoch.as_secs();
    LATEST_SECOND.with_borrow_mut(|(latest, text)| {
        if *latest != second || text.is_empty() {
            let whole = i64::try_from(second).unwrap_or(i64::MAX);
            let date = OffsetDateTime::from_unix_timestamp(whole).map_err(|_| fmt::Error)?;
            let (year, month, day) = date.to_calendar_date();
            let (hour, minute, seconds) = date.to_hms();
            let month = u8::from(month);
            text.clear();
            write!(
                text,
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{seconds:02}."
            )?;
            *latest = second;
        }
        line.push_str(text);
        Ok(())
    })?;
    let mut rest = since_epoch.subsec_micros();
    let mut micros = *b"000000Z";
    for digit in micros[..6].iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    line.push_str(str::from_utf8(&micros).unwrap_or_default());
    Ok(())
}

const fn level(level: Level) -> &'static str {
    match level {
        Level::TRACE => " TRACE ",
        Level::DEBUG => " DEBUG ",
        Level::INFO => "  INFO ",
        Level::WARN => "  WARN ",
        Level::ERROR => " ERROR ",
    }
}

/// `message name=value name=value`. Control characters that a terminal would obey are written out, wherever they stand.
#[derive(Debug)]
pub(crate) struct PlainFields;

impl<'writer> FormatFields<'writer> for PlainFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        at_once(&mut writer, |text| write_fields(text, fields))
    }
}

thread_local! {
    /// Where text is put together: what it is written into takes its time with every piece.
    static SCRATCH: Cell<String> = const { Cell::new(String::new()) };
}

/// Writes what `write` makes, in one piece.
fn at_once(writer: &mut Writer<'_>, write: impl FnOnce(&mut String) -> fmt::Result) -> fmt::Result {
    // Taken and put back, for a value may log something itself.
    let mut text = SCRATCH.take();
    text.clear();
    let written = write(&mut text).and_then(|()| writer.write_str(&text));
    SCRATCH.set(text);
    written
}

fn write_fields(text: &mut String, fields: impl RecordFields) -> fmt::Result {
    let mut line = Line {
        text,
        separator: "",
        result: Ok(()),
    };
    fields.record(&mut line);
    line.result
}

struct Line<'a> {
    text: &'a mut String,
    separator: &'static str,
    result: fmt::Result,
}

impl Line<'_> {
    fn write(&mut self, name: &str, value: &dyn fmt::Debug) -> fmt::Result {
        self.text.push_str(self.separator);
        if name != "message" {
            self.text.push_str(name.strip_prefix("r#").unwrap_or(name));
            self.text.push('=');
        }
        let start = self.text.len();
        write!(self.text, "{value:?}")?;
        if !is_harmless(&self.text[start..]) {
            let value = self.text.split_off(start);
            write_out(self.text, &value)?;
        }
        Ok(())
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

/// As a rule there is nothing but ASCII, and no control character. Each byte is looked at, be there one among them or
/// not: so the compiler takes many at once.
fn is_harmless(text: &str) -> bool {
    let is_harmless = |is_harmless, byte| is_harmless & matches!(byte, b' '..=b'~');
    text.bytes().fold(true, is_harmless)
}

fn write_out(line: &mut String, value: &str) -> fmt::Result {
    value.chars().try_for_each(|character| match character {
        '\x1b' | '\x07' | '\x08' | '\x0c' | '\x7f' => write!(line, "\\x{:02x}", u32::from(character)),
        '\u{80}'..='\u{9f}' => write!(line, "\\u{{{:x}}}", u32::from(character)),
        character => line.write_char(character),
    })
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use tracing_subscriber::Registry;
    use tracing_subscriber::fmt::{Layer, MakeWriter};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

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
        lines.text()
    }

    /// The lines, each with its time.
    fn whole_lines<E>(format: E, log: fn()) -> String
    where
        E: FormatEvent<Registry, PlainFields> + Send + Sync + 'static,
    {
        let lines = Lines::default();
        let layer = Layer::default().with_ansi(false).with_writer(lines.clone());
        let layer = layer.fmt_fields(PlainFields).event_format(format);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        lines.text()
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
    fn writes_whole_lines_as_the_library_writes_them() {
        let log = || {
            log();
            tracing::debug!("outside");
            tracing::trace!("outside");
            let (_outer, _inner) = (
                tracing::info_span!("outer").entered(),
                tracing::info_span!("inner", n = 1).entered(),
            );
            tracing::info!("within two");
            tracing::warn!(target: "log", "of another crate");
        };
        let library = whole_lines(Format::default().with_ansi(false), log);
        let ours = whole_lines(PlainLine, log);
        assert_eq!((ours.lines().count(), library.lines().count()), (7, 7));
        for (ours, library) in ours.lines().zip(library.lines()) {
            let ((time, ours), (library_time, library)) =
                (ours.split_once(' ').unwrap(), library.split_once(' ').unwrap());
            assert_eq!(ours, library);
            assert_eq!(time.len(), library_time.len(), "{time} {library_time}");
        }
        assert!(ours.contains(" outer:inner{n=1}: "), "{ours}");
    }

    #[test]
    fn writes_a_value_that_logs_something_itself() {
        struct Talkative;
        impl fmt::Display for Talkative {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                tracing::info_span!("inner", n = 1).in_scope(|| formatter.write_str("said"))
            }
        }
        let line = lines(
            PlainFields,
            || tracing::info!(before = 1, value = %Talkative, after = 2, "line"),
        );
        assert!(line.ends_with("line before=1 value=said after=2\n"), "{line}");
    }

    #[test]
    fn writes_times_as_the_calendar_has_them() {
        for (second, micros, expected) in [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (0, 1, "1970-01-01T00:00:00.000001Z"),
            (951_826_554, 999_999, "2000-02-29T12:15:54.999999Z"),
            (1_795_366_740, 12_345, "2026-11-22T16:59:00.012345Z"),
            (253_402_300_799, 0, "9999-12-31T23:59:59.000000Z"),
            (1_795_366_740, 500_000, "2026-11-22T16:59:00.500000Z"),
        ] {
            let mut written = String::new();
            let time = UNIX_EPOCH + Duration::new(second, micros * 1000);
            write_time(&mut written, time).unwrap();
            assert_eq!(written, expected);
        }
    }

    #[test]
    fn lets_no_field_speak_to_the_terminal() {
        let line = lines(PlainFields, || tracing::info!(name = %"\x1b[2J", "sent"));
        assert!(line.ends_with("sent name=\\x1b[2J\n"), "{line}");
    }
}
