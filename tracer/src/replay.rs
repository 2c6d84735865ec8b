//! `memtrace report FILE`: the report of a run out of its capture, as the run itself gave it.

use std::path::Path;

use anyhow::Context as _;

use crate::{
    capture::{End, Reader},
    cli::ReportArguments,
    copies::Copies,
    event::Doubt,
    failure::Failure,
    judge::{self, schema::Judgement},
    model::Model,
    output::{Place, coloured},
    report::schema::Report,
};

/// Makes the report of a capture.
///
/// # Errors
///
/// If the file is no capture, or one that this version cannot read. One that breaks off gives a
/// report of what is in it, with a doubt.
pub fn report(path: &Path) -> anyhow::Result<Report> {
    let unread = || format!("{} gives no report", path.display());
    let mut reader = Reader::open(path).with_context(unread)?;
    let mut model = Model::new();
    for event in reader.by_ref() {
        model.apply(event);
    }
    let mut report = Report::of(&model)
        .context("it tells of no run")
        .with_context(unread)?;
    if let End::Cut(text) = reader.end() {
        report.certainty.doubts.push(Doubt {
            id: "capture-cut".to_owned(),
            text,
            remedy: String::new(),
        });
    }
    Ok(report)
}

/// The judgement of a capture, where a copy of the report has room for it and the run can be judged.
pub fn judged(copies: &Copies, capture: Option<&Path>) -> Option<Judgement> {
    let capture = capture.filter(|_| copies.tell_judgements())?;
    // A run without a peak has none, and its report says so.
    judge::judge(capture, judge::Others::default()).ok()
}

/// Does what the action asks for: the report to stdout, copies to their places. A copy on stdout
/// replaces the report.
///
/// # Errors
///
/// If there is no report, or if it cannot be written.
pub fn run(arguments: &ReportArguments) -> Result<(), Failure> {
    let copies = Copies::check(&arguments.copies)?;
    if arguments.copies.format.is_some() && copies.to_stdout() > 0 {
        return Err(Failure::usage(
            "--format goes to stdout, and so does a copy of the report. Name a file for the copy",
        ));
    }
    let report = report(&arguments.capture)?;
    if copies.to_stdout() == 0 {
        let mut bytes = Vec::new();
        let colour = coloured(arguments.color, &std::io::stdout());
        let format = arguments.copies.format.unwrap_or_default();
        format
            .write(&report, colour, &mut bytes)
            .context("the report cannot be put into words")?;
        Place::Stdout.write(&bytes)?;
    }
    let judgement = judged(&copies, Some(&arguments.capture));
    copies.write(&report, judgement.as_ref())?;
    Ok(())
}
