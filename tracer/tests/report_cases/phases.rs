//! Phases in every format. That other tools read them is shown by `scripts/exports_test.py` and
//! `scripts/html_test.mjs`.

use std::collections::BTreeMap;

use memtrace::{
    render::Format,
    report::schema::{PhaseScope, Report},
};
use tracer_common::record::mark;

use crate::{
    cases,
    run::{Run, mib, pages},
};

fn text(format: Format, report: &Report) -> String {
    let mut bytes = Vec::new();
    format.write(report, false, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// What the page draws.
fn figures(page: &str) -> serde_json::Value {
    let (_, rest) = page.split_once("id=\"figures\">").unwrap();
    let (figures, _) = rest.split_once("</script>").unwrap();
    serde_json::from_str(figures).unwrap()
}

#[test]
fn text_formats_tell_phases_as_they_did() {
    let report = cases::phased();
    for (name, format) in [
        ("phased_csv", Format::Csv),
        ("phased_mprof", Format::Mprof),
        ("phased_prom", Format::Prom),
        ("phased_folded_time", Format::FoldedTime),
    ] {
        insta::assert_snapshot!(name, text(format, &report));
    }
}

#[test]
fn phases_of_the_world_are_the_reports() {
    let report = cases::phased();
    let growths: Vec<_> = report
        .phases
        .iter()
        .map(|phase| {
            let grown = phase.peak_rss_bytes.unwrap() - phase.start_rss_bytes.unwrap();
            (phase.name.as_str(), grown >> 20, phase.depth)
        })
        .collect();
    let expected = [
        ("all of it", 97, 0),
        ("load", 86, 0),
        ("parse, \"fast\"", 50, 1),
        ("train", 10, 0),
        ("prefetch", 10, 0),
        ("work", 31, 0),
        ("task a", 10, 0),
        ("task b", 10, 1),
        ("load", 0, 0),
    ];
    assert_eq!(growths, expected);
}

/// A line's phase was open at its time, and none that began later was.
#[test]
fn csv_names_the_innermost_phase() {
    let report = cases::phased();
    let mut named = 0;
    for line in text(Format::Csv, &report).lines().skip(1) {
        let at_ns: u64 = line.split(',').next().unwrap().parse().unwrap();
        let pid: Option<u32> = line.split(',').nth(1).unwrap().parse().ok();
        let is_its = |scope, of| match pid {
            Some(_) => scope != PhaseScope::Target && of == pid,
            None => scope == PhaseScope::Target,
        };
        let open = report.phases.iter().rfind(|phase| {
            let is_open = phase.start_ns <= at_ns && at_ns < phase.end_ns;
            is_open && is_its(phase.scope, phase.pid)
        });
        let cell = match open.map(|phase| phase.name.as_str()) {
            None => String::new(),
            Some(name) if name.contains('"') => format!("\"{}\"", name.replace('"', "\"\"")),
            Some(name) => name.to_owned(),
        };
        assert!(line.ends_with(&format!(",{cell}")), "{line}: {cell}");
        named += usize::from(!cell.is_empty());
    }
    assert!(named > 50);
}

/// Phases cut the time at a level, they do not add to it.
#[test]
fn folded_time_is_the_same_with_phases() {
    let report = cases::phased();
    let mut without = report.clone();
    without.phases.clear();
    let stacks = |report: &Report| {
        let mut times: BTreeMap<String, i64> = BTreeMap::new();
        for line in text(Format::FoldedTime, report).lines() {
            let (stack, us) = line.rsplit_once(' ').unwrap();
            let frames = stack.split(';').filter(|frame| !frame.starts_with('['));
            let stack = frames.collect::<Vec<_>>().join(";");
            *times.entry(stack).or_default() += us.parse::<i64>().unwrap();
        }
        times
    };
    let (cut, whole) = (stacks(&report), stacks(&without));
    assert!(cut.keys().eq(whole.keys()));
    for (stack, us) in whole {
        // Each part is rounded down to a microsecond.
        assert!((0..8).contains(&(us - cut[&stack])), "{stack}");
    }
}

#[test]
fn a_page_draws_each_track_by_itself() {
    let page = figures(&text(Format::Html, &cases::phased()));
    let tracks = page["phases"]["tracks"].as_array().unwrap();
    let scopes: Vec<_> = tracks.iter().map(|of| of["scope"].as_str()).collect();
    let expected = ["target", "thread", "thread", "track", "thread"].map(Some);
    assert_eq!(scopes, expected);
    let number = tracks[3]["number"].as_str();
    assert_eq!(
        number,
        Some("18446744073709551615"),
        "too large for a script"
    );
    let entries = page["phases"]["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 9);
    assert_eq!(page["phases"]["names"][1]["count"], 2);
}

/// With as many phases as the report keeps, on as many tracks, with names that grow as they are
/// made harmless, the page stays small and says what it left out.
#[test]
fn a_page_of_very_many_phases_stays_small() {
    let mut run = Run::command(&["busy"]);
    run.exec(1, &["busy"]);
    for i in 0..10_000_u32 {
        let name = format!("{:<<60}", i % 600);
        let track = u64::MAX - u64::from(i / 2);
        run.mark(1, mark::BEGIN, &name, track)
            .level(1, pages(mib(1) + i64::from(i), 40, 0))
            .wait(u64::from(i % 7))
            .mark(1, mark::END, "", track);
    }
    let report = run.exit(1, 0).report(0);
    assert_eq!(report.phases.len(), 10_000);
    let page = text(Format::Html, &report);
    assert!(page.len() < 1 << 20, "{}", page.len());
    let page = figures(&page);
    let drawn = page["phases"]["entries"].as_array().unwrap().len() as u64;
    let left_out = page["phases"]["entries_left_out"].as_u64().unwrap();
    assert_eq!(drawn + left_out, 10_000);
    assert_eq!(page["phases"]["names_left_out"], 200);
}
