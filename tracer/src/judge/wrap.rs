//! A tool's own command line, with the place where the command to be judged goes: `{}`. Words are
//! split as a shell splits them. Knows text only.
//!
//! A bare `{}` becomes the command's words (`mprof run {}`). One inside quotes, or with something
//! beside it, becomes the command as one piece of text for a shell (`psrecord "{}"`,
//! `sh -c 'ulimit -n 99; {}'`): quoted once more, so that a shell makes the same words of it.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

const PLACE: &str = "{}";

/// A command line with one place for a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrap {
    before: Vec<String>,
    place: Place,
    after: Vec<String>,
}

/// How the command stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// As words of its own.
    Words,
    /// As text inside a word.
    Text { before: String, after: String },
}

impl std::str::FromStr for Wrap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (before, after) = text.split_once(PLACE).ok_or(
            "say where the command goes: {} for its words (mprof run {}), \"{}\" for a tool that \
             takes it as one text (psrecord \"{}\")",
        )?;
        if after.contains(PLACE) {
            return Err("there is more than one {}: the command can be run only once".to_owned());
        }
        let unclosed = || format!("a quote in `{text}` is not closed");
        // Where the text before it is whole in itself, the place is in no quotes.
        let is_open = shlex::split(before).is_none();
        let stands_alone = before.chars().next_back().is_none_or(char::is_whitespace)
            && after.chars().next().is_none_or(char::is_whitespace);
        if !is_open && stands_alone {
            return Ok(Self {
                before: shlex::split(before).ok_or_else(unclosed)?,
                place: Place::Words,
                after: shlex::split(after).ok_or_else(unclosed)?,
            });
        }
        let mut words = shlex::split(text).ok_or_else(unclosed)?;
        let at = words.iter().position(|word| word.contains(PLACE));
        let at = at.ok_or_else(|| format!("the {PLACE} in `{text}` is in a comment"))?;
        let after = words.split_off(at + 1);
        let word = words.pop().unwrap_or_default();
        let (text_before, text_after) = word.split_once(PLACE).unwrap_or_default();
        Ok(Self {
            before: words,
            place: Place::Text {
                before: text_before.to_owned(),
                after: text_after.to_owned(),
            },
            after,
        })
    }
}

impl Wrap {
    /// The whole command line, with this command in its place.
    ///
    /// # Errors
    ///
    /// If the command holds a zero byte.
    pub fn around(&self, command: &[OsString]) -> Result<Vec<OsString>, shlex::QuoteError> {
        let mut line: Vec<OsString> = self.before.iter().map(OsString::from).collect();
        match &self.place {
            Place::Words => line.extend(command.iter().cloned()),
            Place::Text { before, after } => {
                let text = shlex::bytes::try_join(command.iter().map(|word| word.as_bytes()))?;
                let mut word = OsString::from(before);
                word.push(OsStr::from_bytes(&text));
                word.push(after);
                line.push(OsString::from_vec(word.into_vec()));
            }
        }
        line.extend(self.after.iter().map(OsString::from));
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn around(wrap: &str, command: &[&str]) -> Vec<String> {
        let command: Vec<OsString> = command.iter().map(OsString::from).collect();
        let wrap: Wrap = wrap.parse().unwrap();
        let line = wrap.around(&command).unwrap().into_iter();
        line.map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn a_bare_place_is_words_and_a_quoted_one_is_text() {
        let command = ["python3", "-c", "print('a b')", ""];
        assert_eq!(
            around("mprof run -o 'my file' {}", &command),
            [
                "mprof",
                "run",
                "-o",
                "my file",
                "python3",
                "-c",
                "print('a b')",
                ""
            ]
        );
        let text = &around("psrecord \"{}\" --log x", &command)[1];
        // A shell makes the same words of it.
        assert_eq!(shlex::split(text).unwrap(), command);
        let line = around("sh -c 'ulimit -n 99; {} > out'", &command);
        assert_eq!(line.len(), 3);
        let inner = line[2].strip_prefix("ulimit -n 99; ").unwrap();
        let inner = inner.strip_suffix(" > out").unwrap();
        assert_eq!(shlex::split(inner).unwrap(), command);
        assert_eq!(
            around("tool --run={}", &["a", "b c"]),
            ["tool", "--run=a 'b c'"]
        );
        assert_eq!(around("{}", &["a"]), ["a"]);
    }

    #[test]
    fn without_exactly_one_place_it_is_refused() {
        for (wrong, said) in [
            ("psrecord", "say where"),
            ("time {} {}", "more than one"),
            ("psrecord \"{} x", "not closed"),
            ("psrecord {} 'x", "not closed"),
        ] {
            let refused = wrong.parse::<Wrap>().unwrap_err();
            assert!(refused.contains(said), "{wrong}: {refused}");
        }
    }
}
