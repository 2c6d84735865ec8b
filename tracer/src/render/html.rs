//! The report as one HTML file that needs nothing else: style, script and figures are in it.
//!
//! Names and arguments are the target's own words: they reach the page as JSON only, with every
//! `<` written as an escape, and the script puts them in place as text, never as markup.

mod figures;

use std::io;

use self::figures::Figures;
use crate::{judge::schema::Judgement, report::schema::Report, units::Bytes};

const PAGE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/page.css");
const CHART: &str = include_str!("html/chart.js");
const BANDS: &str = include_str!("html/bands.js");
const TABLES: &str = include_str!("html/tables.js");
const JUDGED: &str = include_str!("html/judged.js");
const SCRIPT: &str = include_str!("html/page.js");

/// Writes the page; with how wrong other tools are, if that was judged.
pub fn write(
    report: &Report,
    judgement: Option<&Judgement>,
    out: &mut impl io::Write,
) -> io::Result<()> {
    let peak = match &report.peak {
        Some(peak) => Bytes(peak.rss_bytes).to_string(),
        None => "not known".to_owned(),
    };
    let figures = serde_json::to_string(&Figures::of(report, judgement))?;
    let figures = figures
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026");
    let mut rest = PAGE;
    for (place, text) in [
        ("{{peak in the title}}", peak.as_str()),
        ("{{style}}", STYLE),
        ("{{peak without script}}", &peak),
        ("{{figures}}", &figures),
        ("{{chart}}", CHART),
        ("{{bands}}", BANDS),
        ("{{tables}}", TABLES),
        ("{{judged}}", JUDGED),
        ("{{script}}", SCRIPT),
    ] {
        let (before, after) = rest
            .split_once(place)
            .ok_or_else(|| io::Error::other("the page lacks a place for a part"))?;
        out.write_all(before.as_bytes())?;
        out.write_all(text.as_bytes())?;
        rest = after;
    }
    out.write_all(rest.as_bytes())
}
