//! Copies of the report for other tools: each a format and a place, checked before the run.

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
        Ok(copies)
    }

    /// Copies that go to stdout.
    pub fn to_stdout(&self) -> usize {
        let is_stdout = |(_, place): &&(Format, Place)| matches!(place, Place::Stdout);
        self.0.iter().filter(is_stdout).count()
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
