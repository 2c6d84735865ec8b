//! What people see: snapshots of made-up runs, and the width of every line.

use memtrace::{render, report::schema::Report};
use proptest::prelude::*;

use crate::{cases, random, told};

fn text(report: &Report, colour: bool) -> String {
    let mut text = String::new();
    render::text::write(report, colour, &mut text).unwrap();
    text
}

macro_rules! snapshots {
    ($($case:ident),+) => {$(
        #[test]
        fn $case() {
            insta::assert_snapshot!(stringify!($case), text(&cases::$case(), false));
        }
    )+};
}

snapshots!(
    trivial,
    waiting,
    without_fault_latency,
    exec_chain,
    vfork,
    many,
    attached,
    doubtful,
    killed,
    phased
);

#[test]
fn json() {
    let mut bytes = Vec::new();
    render::json::write(&cases::exec_chain(), &mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.ends_with("}\n"));
    insta::assert_snapshot!("json", text);
}

#[test]
fn colour_changes_nothing_but_the_looks() {
    for report in [cases::trivial(), cases::doubtful(), cases::many()] {
        let plain = text(&report, false);
        assert!(!plain.contains('\x1b'));
        let mut coloured = text(&report, true);
        assert!(coloured.contains("\x1b[1m"), "the peak is bold");
        while let Some(start) = coloured.find('\x1b') {
            let end = coloured[start..].find('m').unwrap();
            coloured.replace_range(start..=start + end, "");
        }
        assert_eq!(coloured, plain);
    }
}

proptest! {
    #[test]
    fn no_line_is_wider_than_80_columns(steps in random::steps(), names in random::names()) {
        let world = random::live(&steps, &names);
        let text = text(&told::report(world.events(random::end(&world, &names))), false);
        for line in text.lines() {
            let width = unicode_width::UnicodeWidthStr::width(line);
            prop_assert!(width <= 80, "{width}: {line}");
            prop_assert!(!line.chars().any(char::is_control), "{line:?}");
            prop_assert_eq!(line.trim_end(), line);
        }
    }
}
