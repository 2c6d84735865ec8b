//! Renderers: a report as text for people or in a form that another tool reads, into any writer.

pub mod csv;
pub mod folded_time;
pub mod html;
pub mod json;
pub mod mprof;
pub mod perfetto;
mod phases;
pub mod prom;
pub mod text;

use std::io;

use clap::ValueEnum;

use crate::{judge::schema::Judgement, report::schema::Report};

/// What a report can be written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people, 80 columns
    #[default]
    Text,
    /// Everything, for programs
    Json,
    /// Levels over time, one figure a line, as pandas likes it
    Csv,
    /// A page with charts, in one file
    Html,
    /// A trace for ui.perfetto.dev and its trace processor
    Perfetto,
    /// For mprof plot
    Mprof,
    /// OpenMetrics text, for Prometheus
    Prom,
    /// Time at each level as folded stacks, for flamegraph.pl
    FoldedTime,
}

impl Format {
    /// Writes the report so; only text knows colours.
    ///
    /// # Errors
    ///
    /// What the writer says.
    pub fn write(self, report: &Report, colour: bool, out: &mut impl io::Write) -> io::Result<()> {
        match self {
            Self::Text => {
                let mut text = String::new();
                text::write(report, colour, &mut text).map_err(io::Error::other)?;
                out.write_all(text.as_bytes())
            }
            Self::Json => json::write(report, out),
            Self::Csv => csv::write(report, out),
            Self::Html => html::write(report, None, out),
            Self::Perfetto => perfetto::write(report, out),
            Self::Mprof => mprof::write(report, out),
            Self::Prom => prom::write(report, out),
            Self::FoldedTime => folded_time::write(report, out),
        }
    }
}

/// What a judgement can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum JudgeFormat {
    /// For people, 80 columns
    Text,
    /// Everything, for programs
    Json,
}

impl JudgeFormat {
    /// Writes the judgement so; only text knows colours.
    ///
    /// # Errors
    ///
    /// What the writer says.
    pub fn write(
        self,
        judgement: &Judgement,
        colour: bool,
        out: &mut impl io::Write,
    ) -> io::Result<()> {
        match self {
            Self::Text => {
                let mut text = String::new();
                text::judge::write(judgement, colour, &mut text).map_err(io::Error::other)?;
                out.write_all(text.as_bytes())
            }
            Self::Json => json::write(judgement, out),
        }
    }
}
