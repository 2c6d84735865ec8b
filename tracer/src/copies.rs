//! Copies of the report for other tools: each a format and a place, checked before the run.

use std::{collections::HashSet, path::Path};

use anyhow::Context as _;

use crate::{
    cli::CopiesAsked,
    judge::schema::Judgement,
    output::Place,
    render::{Format, html},
    report::schema::Report,
};

/// See the module.
#[derive(Debug)]
pub struct Copies(Vec<(Format, Place)>);

impl Copies {
    /// Checks the places that were asked for.
    ///
    /// # Errors
    ///
    /// With what is wrong with one and what to do, or if two would go to stdout.
    pub fn check(asked: &CopiesAsked) -> anyhow::Result<Self> {
        let json = asked.json.iter().map(|path| (Format::Json, path));
        let html = asked.html.iter().map(|path| (Format::Html, path));
        let others = asked.export.iter().map(|(format, path)| (*format, path));
        let copies = json.chain(html).chain(others);
        let copies: Vec<_> = copies
            .map(|(format, path)| Ok((format, Place::check(path)?)))
            .collect::<anyhow::Result<_>>()?;
        let copies = Self(copies);
        anyhow::ensure!(
            copies.to_stdout() < 2,
            "only one copy of the report can go to stdout. Name a file for the others"
        );
        if let Some(path) = copies.named_twice() {
            anyhow::bail!(
                "{} is named for two copies of the report. Name another file for one of them",
                path.display()
            );
        }
        Ok(copies)
    }

    /// Copies that go to stdout.
    pub fn to_stdout(&self) -> usize {
        let is_stdout = |(_, place): &&(Format, Place)| matches!(place, Place::Stdout);
        self.0.iter().filter(is_stdout).count()
    }

    /// A file that one copy would overwrite another in.
    fn named_twice(&self) -> Option<&Path> {
        let mut files = self.0.iter().filter_map(|(_, place)| match place {
            Place::File(path) => Some(path.as_path()),
            Place::Stdout | Place::Special(_) => None,
        });
        let mut seen = HashSet::new();
        files.find(|path| !seen.insert(*path))
    }

    /// Among them is a page, which can tell a judgement too.
    pub fn tell_judgements(&self) -> bool {
        self.0.iter().any(|(format, _)| *format == Format::Html)
    }

    /// Writes them all, even if one of them cannot be written.
    ///
    /// # Errors
    ///
    /// The first one that could not be written.
    pub fn write(&self, report: &Report, judgement: Option<&Judgement>) -> anyhow::Result<()> {
        let written = self.0.iter().map(|(format, place)| {
            let mut bytes = Vec::new();
            let written = match format {
                Format::Html => html::write(report, judgement, &mut bytes),
                other => other.write(report, false, &mut bytes),
            };
            written.context("the report cannot be put into this format")?;
            place.write(&bytes)
        });
        let results: Vec<_> = written.collect();
        results.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn one_copy_does_not_overwrite_another() {
        let folder = tempfile::tempdir().unwrap();
        let check = |html: &str| {
            let path = |name: &str| Some(folder.path().join(name));
            let asked = CopiesAsked {
                format: None,
                json: path("run"),
                html: path(html),
                export: vec![(Format::Csv, PathBuf::from("/dev/null")); 2],
            };
            Copies::check(&asked)
        };
        assert!(check("run.html").is_ok());
        let text = check("run").unwrap_err().to_string();
        assert!(text.contains("named for two copies"), "{text}");
    }
}
