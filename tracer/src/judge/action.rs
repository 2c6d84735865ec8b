//! `memtrace judge` as it was typed: judges a capture, or runs a command and judges that, and
//! writes the judgement where it belongs.

use std::{io, process::ExitCode};

use anyhow::Context as _;

use super::{
    Others,
    import::{self, Asked, ImportError, Imported},
    judge, live,
    schema::Judgement,
};
use crate::{
    cli::JudgeArguments,
    failure::{Failure, code},
    output::{self, Place, coloured},
    render::{html, json},
    replay,
};

/// Does it. What is judged from a file goes to stdout; beside a command, whose stdout that is, to
/// stderr. A copy on stdout replaces the judgement. The exit code is the command's.
///
/// # Errors
///
/// If there is no judgement, or if it cannot be written.
pub fn run(arguments: &JudgeArguments) -> Result<ExitCode, Failure> {
    let copy = arguments.json.as_deref().map(Place::check).transpose()?;
    let page = arguments.html.as_deref().map(Place::check).transpose()?;
    let (judgement, report, exit) = match &arguments.file {
        Some(file) => {
            let imported = imported(&arguments.import)?;
            let others = Others {
                imported: &imported,
                ..Others::default()
            };
            let report = page.is_some().then(|| replay::report(file)).transpose()?;
            (judge(file, others)?, report, 0)
        }
        None => {
            let judged = live::run(arguments)?;
            (judged.judgement, Some(judged.report), judged.exit)
        }
    };
    if !matches!(copy, Some(Place::Stdout)) {
        tell(arguments, &judgement)?;
    }
    if let Some(place) = copy {
        let mut bytes = Vec::new();
        json::write(&judgement, &mut bytes).context("the judgement cannot be put into JSON")?;
        place.write(&bytes)?;
    }
    if let Some((place, report)) = page.zip(report) {
        let mut bytes = Vec::new();
        html::write(&report, Some(&judgement), &mut bytes).context("there can be no page")?;
        place.write(&bytes)?;
    }
    Ok(ExitCode::from(exit))
}

fn tell(arguments: &JudgeArguments, judgement: &Judgement) -> anyhow::Result<()> {
    let is_of_file = arguments.file.is_some();
    let colour = match is_of_file {
        true => coloured(arguments.color, &io::stdout()),
        false => coloured(arguments.color, &io::stderr()),
    };
    let mut bytes = Vec::new();
    arguments
        .format
        .write(judgement, colour, &mut bytes)
        .context("the judgement cannot be put into words")?;
    match is_of_file {
        true => output::Place::Stdout.write(&bytes),
        false => {
            io::Write::write_all(&mut io::stderr(), &bytes).context("stderr cannot be written to")
        }
    }
}

/// Reads other tools' files, all of them or none.
///
/// # Errors
///
/// With the file, the line and the reason.
pub fn imported(asked: &[Asked]) -> Result<Vec<Imported>, Failure> {
    let files = asked.iter().map(import::read);
    let files = files.collect::<Result<Vec<_>, _>>();
    let files = files.map_err(|error| Failure {
        code: match error {
            ImportError::Io(..) => code::FAILED,
            _ => code::USAGE,
        },
        error: error.into(),
    })?;
    Ok(files.into_iter().flatten().collect())
}
