//! A page of text: lines of at most [`COLUMNS`] columns, whatever names and arguments hold.

use std::fmt;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthChar;

/// Columns of a page. No line is wider.
pub(super) const COLUMNS: usize = 80;
/// Columns of the labels at the left.
pub(super) const LABEL: usize = 14;

/// How a piece of a line looks, if colour is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Plain,
    Bold,
    Dim,
    Good,
    Bad,
}

impl Look {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Bold => Style::new().bold(),
            Self::Dim => Style::new().dimmed(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Bad => AnsiColor::Yellow.on_default(),
        }
    }
}

/// Writes lines.
pub(super) struct Page<'a> {
    out: &'a mut dyn fmt::Write,
    colour: bool,
}

impl<'a> Page<'a> {
    pub(super) fn new(out: &'a mut dyn fmt::Write, colour: bool) -> Self {
        Self { out, colour }
    }

    /// A line of pieces, cut at the right edge.
    pub(super) fn line(&mut self, pieces: &[(Look, &str)]) -> fmt::Result {
        let mut left = COLUMNS;
        let last = pieces
            .iter()
            .rposition(|(_, text)| !text.trim_end().is_empty());
        for (i, (look, text)) in pieces.iter().enumerate() {
            if last.is_none_or(|last| i > last) {
                break;
            }
            let text = if Some(i) == last {
                text.trim_end()
            } else {
                text
            };
            let text = fit(text, left);
            left -= width(&text);
            let style = look.style();
            if self.colour && *look != Look::Plain {
                write!(self.out, "{style}{text}{style:#}")?;
            } else {
                self.out.write_str(&text)?;
            }
        }
        self.out.write_char('\n')
    }

    /// A line that opens a section: a label, then pieces.
    pub(super) fn labelled(&mut self, label: &str, pieces: &[(Look, &str)]) -> fmt::Result {
        let label = left(label, LABEL);
        let mut all = vec![(Look::Plain, label.as_str())];
        all.extend_from_slice(pieces);
        self.line(&all)
    }

    /// Text in as many lines as it needs, all indented.
    pub(super) fn wrapped(&mut self, indent: usize, look: Look, text: &str) -> fmt::Result {
        self.hanging("", indent, look, text)
    }

    /// Text in as many lines as it needs, all indented, the first one behind a name.
    pub(super) fn hanging(
        &mut self,
        name: &str,
        indent: usize,
        look: Look,
        text: &str,
    ) -> fmt::Result {
        let mut margin = left(name, indent);
        for line in wrap(text, COLUMNS - indent) {
            self.line(&[(Look::Plain, &margin), (look, &line)])?;
            margin = " ".repeat(indent);
        }
        Ok(())
    }

    /// An empty line.
    pub(super) fn gap(&mut self) -> fmt::Result {
        self.out.write_char('\n')
    }
}

/// Columns that visible text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// The text with everything escaped that would not show as itself: control characters, marks
/// that change the direction of writing or join their neighbours.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\'' | '"' | '\\' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// The text made visible and cut to this many columns; a cut shows as `…`.
pub(super) fn fit(text: &str, columns: usize) -> String {
    let text = visible(text);
    if width(&text) <= columns {
        return text;
    }
    let mut cut = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used + 1 > columns {
            break;
        }
        cut.push(c);
    }
    if columns > 0 {
        cut.push('…');
    }
    cut
}

/// The text at the left of a field, or cut to it.
pub(super) fn left(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    let missing = columns - width(&text);
    format!("{text}{:missing$}", "")
}

/// The text at the right of a field, or cut to it.
pub(super) fn right(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    let missing = columns - width(&text);
    format!("{:missing$}{text}", "")
}

/// Lines of at most this many columns, broken between words where possible.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in visible(text).split(' ').filter(|word| !word.is_empty()) {
        let needed = width(word) + usize::from(used > 0);
        if used > 0 && used + needed > columns {
            lines.push(String::new());
            used = 0;
        }
        for c in (if used > 0 { " " } else { "" })
            .chars()
            .chain(word.chars())
        {
            let wide = c.width().unwrap_or(0);
            if used + wide > columns {
                lines.push(String::new());
                used = 0;
            }
            if let Some(line) = lines.last_mut() {
                line.push(c);
            }
            used += wide;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_cannot_act_on_the_terminal() {
        assert_eq!(
            visible("a\x1b[2Jb\r\n\u{202e}c'\\"),
            "a\\u{1b}[2Jb\\r\\n\\u{202e}c'\\"
        );
        assert_eq!(visible("gcc -o größe 日本"), "gcc -o größe 日本");
    }

    #[test]
    fn cuts_show() {
        assert_eq!(fit("abcdef", 4), "abc…");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit("abc", 0), "");
    }

    #[test]
    fn words_stay_whole_where_they_can() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrap("", 4), [""]);
    }

    proptest! {
        #[test]
        fn nothing_gets_wider_than_asked(text in any::<String>(), columns in 2..90_usize) {
            prop_assert!(width(&fit(&text, columns)) <= columns);
            prop_assert_eq!(width(&left(&text, columns)), columns);
            prop_assert_eq!(width(&right(&text, columns)), columns);
            for line in wrap(&text, columns) {
                prop_assert!(width(&line) <= columns, "{line:?}");
            }
        }

        #[test]
        fn showing_twice_changes_nothing(text in any::<String>()) {
            prop_assert_eq!(visible(&visible(&text)), visible(&text));
        }
    }
}
