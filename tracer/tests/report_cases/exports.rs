//! Every format: what is in it, whatever the names of the target hold. That other tools read them
//! is shown by `scripts/exports_test.py` and `scripts/html_test.mjs`.

use memtrace::{render::Format, report::schema::Report};
use proptest::prelude::*;

use crate::{
    cases, random,
    run::{Run, TICK, mib, pages},
    told,
};

const ALL: [Format; 8] = [
    Format::Text,
    Format::Json,
    Format::Csv,
    Format::Html,
    Format::Perfetto,
    Format::Mprof,
    Format::Prom,
    Format::FoldedTime,
];

fn written(format: Format, report: &Report) -> Vec<u8> {
    let mut bytes = Vec::new();
    format.write(report, false, &mut bytes).unwrap();
    bytes
}

fn text(format: Format, report: &Report) -> String {
    String::from_utf8(written(format, report)).unwrap()
}

/// A run whose words are out to do harm.
fn hostile() -> Report {
    let words = [
        "</script><script>alert(1)</script>",
        "a,\"b\"\r\nMEM 1 2;c",
        "<!--<script>",
        "\u{2028}{{script}}\\",
    ];
    let mut run = Run::command(&words);
    run.exec(1, &["<img src=x>", words[0], words[1], words[2], words[3]]);
    run.wait(1).level(1, pages(mib(9), 300, 0));
    let child = run.wait(1).fork(1);
    run.exec(child, &["a,\"b\"\r\n;c", "</style>"])
        .wait(2)
        .level(child, pages(mib(3), 200, 0))
        .wait(1)
        .exit(child, 0)
        .exit(1, 0);
    run.report(0)
}

#[test]
fn lines_of_text_formats_are_as_they_were() {
    let report = cases::exec_chain();
    for (name, format) in [
        ("csv", Format::Csv),
        ("mprof", Format::Mprof),
        ("prom", Format::Prom),
        ("folded_time", Format::FoldedTime),
    ] {
        insta::assert_snapshot!(name, text(format, &report));
    }
}

#[test]
fn a_page_takes_no_orders_from_its_target() {
    let page = text(Format::Html, &hostile());
    let (before, rest) = page.split_once("id=\"figures\">").unwrap();
    let (figures, after) = rest.split_once("</script>").unwrap();
    assert!(!figures.contains(['<', '>', '&']), "{figures}");
    for part in [before, after] {
        assert!(!part.contains("alert(1)") && !part.contains("<img"));
    }
    let figures: serde_json::Value = serde_json::from_str(figures).unwrap();
    assert_eq!(
        figures["target"]["argv"][0],
        "</script><script>alert(1)</script>"
    );
    assert!(page.len() < 1 << 20);
    // Nothing of the template is left, nothing is fetched.
    assert!(!before.contains("{{") && !after.contains("{{"));
    assert!(!page.contains("src=\"") && !page.contains("http://") && !page.contains("https://"));
}

#[test]
fn a_page_of_very_many_processes_stays_small() {
    let mut run = Run::command(&["make"]);
    run.quantum = 1;
    run.exec(1, &["make"]);
    for i in 0..3_000 {
        let child = run.wait(1).fork(1);
        run.exec(child, &["cc1", &"-Wsomething".repeat(40)]);
        run.begin(child, "translation unit");
        for step in 1..40 {
            run.wait(1)
                .level(child, pages(step * (50 + i % 97), 700, 0));
        }
        run.exit(child, 0);
    }
    let page = text(Format::Html, &run.exit(1, 0).report(0));
    assert!(page.len() < 1 << 20, "{}", page.len());
}

#[test]
fn hostile_names_stay_in_their_fields() {
    let report = hostile();
    let csv = text(Format::Csv, &report);
    assert!(csv.contains(",\"a,\"\"b\"\"\r\n;c\",anon,"), "{csv}");
    let mprof = text(Format::Mprof, &report);
    let kinds: Vec<_> = mprof
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(kinds[0], "CMDLINE");
    assert!(kinds[1..].iter().all(|kind| ["MEM", "CHLD"].contains(kind)));
    for line in text(Format::FoldedTime, &report).lines() {
        let (stack, weight) = line.rsplit_once(' ').unwrap();
        assert!(weight.parse::<u64>().is_ok() && !stack.contains(char::is_control));
    }
    let prom = text(Format::Prom, &report);
    assert!(prom.ends_with("# EOF\n"));
    assert!(
        prom.lines()
            .all(|line| line.starts_with("memtrace_") || line.starts_with("# "))
    );
}

#[test]
fn time_at_level_is_the_worlds() {
    let mut run = Run::command(&["one"]);
    run.exec(1, &["one"]).level(1, pages(mib(1), 0, 0));
    run.wait(45).level(1, pages(mib(4), 0, 0));
    run.wait(40).level(1, pages(mib(9), 0, 0));
    run.wait(15).exit(1, 0);
    let report = run.report(0);
    let held = report.processes[0].time_at_level.unwrap();
    let mibs = [
        held.p50_bytes,
        held.p90_bytes,
        held.p99_bytes,
        held.max_bytes,
    ];
    assert_eq!(mibs.map(|bytes| bytes >> 20), [4, 9, 9, 9]);
    assert_eq!(held.total_ns / TICK, 100);
    let all = report.histograms.rss_time_at_level.unwrap();
    assert_eq!((all.max, all.p90 >> 20), (9 << 20, 9));
    assert_eq!(
        all.buckets.iter().map(|bucket| bucket.1).sum::<u64>(),
        all.count
    );
    assert_eq!(report.histograms.process_lifetime.unwrap().count, 1);
    assert_eq!(report.histograms.process_peak.unwrap().max, 9 << 20);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// No names, losses or orders of what happened make a format fail, and the same run gives the
    /// same bytes.
    #[test]
    fn every_format_takes_every_run(steps in random::steps(), names in random::names()) {
        let world = random::live(&steps, &names);
        let events = world.events(random::end(&world, &names));
        let (one, other) = (told::report(events.clone()), told::report(events));
        for format in ALL {
            prop_assert_eq!(written(format, &one), written(format, &other));
        }
    }

    /// Spaces' levels as told add up to the target's, within the quantum for each.
    #[test]
    fn classes_add_up(steps in random::steps()) {
        let run = random::live(&steps, &["one".into(), "two".into()]);
        let report = told::report(run.events(run.ended(memtrace::event::EndReason::Interrupted, None)));
        let last = report.timeline_by_class.points.last().unwrap();
        prop_assert_eq!(Some(last.rss_bytes()), report.target.end_rss_bytes);
        for row in report.processes.iter().filter(|row| row.peak.is_some()) {
            let greatest = row.timeline.points.iter().map(|point| point.rss_bytes()).max();
            prop_assert_eq!(greatest, row.peak.map(|peak| peak.rss_bytes));
            prop_assert!(row.timeline.points.is_sorted_by_key(|point| point.at_ns));
            if let Some(held) = row.time_at_level {
                prop_assert!(held.p50_bytes <= held.p90_bytes && held.p99_bytes <= held.max_bytes);
            }
        }
    }
}
