//! Figures of a benchmark: medians, budgets, and the page they are written to.

use std::fmt::Write;

use crate::{estimate::Estimate, own_time::OwnTime};

/// What a figure may be at most.
#[derive(Clone, Copy)]
pub(crate) enum Budget {
    /// No budget: a figure to compare with.
    None,
    /// This much above the floor of the same round.
    AboveFloor(f64),
    /// This ratio to bare.
    Ratio(f64),
}

/// One variant of one storm, round by round.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    /// The storm's workers.
    pub(crate) storm: String,
    pub(crate) budget: Budget,
    /// Why it was not measured; then there is nothing else.
    pub(crate) absent: Option<String>,
    /// Undisturbed time against bare.
    pub(crate) ratio: Option<Estimate>,
    /// The same, less the floor's.
    pub(crate) above_floor: Option<Estimate>,
    /// Median of the ratios of whole runs to the bare run of the same round.
    pub(crate) median: f64,
    /// What is wrong with these runs, beside their time.
    pub(crate) flaw: Option<String>,
}

/// A real job, bare and traced.
pub(crate) struct Job {
    pub(crate) what: &'static str,
    /// Ratio to bare that it may have at most.
    pub(crate) budget: f64,
    /// Seconds bare and ratios of traced to that, round by round, or why there are none.
    pub(crate) found: Result<(Vec<f64>, Vec<f64>), String>,
    /// What is wrong with these runs, beside their time.
    pub(crate) flaw: Option<String>,
}

/// A single figure.
pub(crate) struct Single {
    pub(crate) what: &'static str,
    pub(crate) figure: f64,
    pub(crate) budget: f64,
    /// The budget is the least that is wanted, else the most.
    pub(crate) at_least: bool,
    pub(crate) unit: &'static str,
}

/// Everything a run of the benchmark found.
pub(crate) struct Figures {
    pub(crate) machine: String,
    pub(crate) workload: String,
    pub(crate) rounds: usize,
    pub(crate) bare: Vec<(String, f64)>,
    pub(crate) rows: Vec<Row>,
    pub(crate) own_times: Vec<OwnTime>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) singles: Vec<Single>,
}

/// The middle value, or the mean of the two middle ones. 0 of nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

impl Figures {
    /// The page, in Markdown.
    pub(crate) fn page(&self) -> String {
        let mut page = String::new();
        self.write(&mut page).expect("a String takes everything");
        page
    }

    fn write(&self, page: &mut String) -> std::fmt::Result {
        let Self {
            machine,
            workload,
            rounds,
            ..
        } = self;
        writeln!(page, "# What tracing costs\n")?;
        writeln!(
            page,
            "Written by `cargo xtask bench`; run it again instead of editing.\n"
        )?;
        writeln!(page, "Machine: {machine}.\n")?;
        writeln!(
            page,
            "Workload: {workload}. It measures the wall time of each pass. In each of {rounds} \
             rounds every variant runs once, in an order that is reversed from round to round. \
             The machine has phases in which everything takes a third longer, so what counts is \
             the time that a tenth of a variant's passes stay below; between the brackets is what \
             90 of 100 random draws of the rounds give. The medians are those of the ratios of \
             whole runs to the bare run of the same round, disturbed or not. The floor is an empty \
             program on the same tracepoint.\n"
        )?;
        let bare: Vec<_> = self
            .bare
            .iter()
            .map(|(storm, ns)| format!("{ns:.0} ns with {storm}"))
            .collect();
        writeln!(page, "A fault costs, bare: {}.\n", bare.join(", "))?;
        writeln!(
            page,
            "| fault storm | workers | of bare | above the floor | median | budget | |"
        )?;
        writeln!(page, "|---|---|---|---|---|---|---|")?;
        for row in &self.rows {
            row.write(page)?;
        }
        writeln!(
            page,
            "\nThe programs' own time, by the kernel's clock (`memtrace --self-stats`): what part of the \
             time of the CPUs that the storm keeps busy they take, above what the empty program takes; \
             the middle one of the runs, and the least and the greatest. A slow phase of the machine \
             moves all of it alike. What a program costs beside its own time, by what it pushes out of \
             caches or by the reader of its records, is not in it.\n"
        )?;
        writeln!(
            page,
            "| the programs of | workers | of the storm | above the floor | budget | |"
        )?;
        writeln!(page, "|---|---|---|---|---|---|")?;
        for own in &self.own_times {
            own.write(page)?;
        }
        writeln!(
            page,
            "\n| job | bare | traced, of bare | middle half | budget | |\n|---|---|---|---|---|---|"
        )?;
        for job in &self.jobs {
            job.write(page)?;
        }
        writeln!(
            page,
            "\n| figure | measured | budget | |\n|---|---|---|---|"
        )?;
        for Single {
            what,
            figure,
            budget,
            at_least,
            unit,
        } in &self.singles
        {
            let (bound, is_met) = match at_least {
                true => ("at least", figure >= budget),
                false => ("at most", figure <= budget),
            };
            let verdict = verdict(is_met);
            writeln!(
                page,
                "| {what} | {figure:.1} {unit} | {bound} {budget} | {verdict} |"
            )?;
        }
        Ok(())
    }
}

impl OwnTime {
    fn write(&self, page: &mut String) -> std::fmt::Result {
        let Self { what, storm, .. } = self;
        let [least, middle, greatest] = self.above_floor();
        let of_storm = median(&self.parts);
        write!(
            page,
            "| {what} | {storm} | {of_storm:.3} | {middle:+.3} [{least:+.3}, {greatest:+.3}] | "
        )?;
        let Budget::AboveFloor(most) = self.budget else {
            return writeln!(page, "| |");
        };
        let above = Estimate {
            figure: middle,
            low: least,
            high: greatest,
        };
        writeln!(page, "floor {most:+.2} | {} |", above.verdict(most))
    }
}

impl Job {
    fn write(&self, page: &mut String) -> std::fmt::Result {
        let Self { what, budget, .. } = self;
        let (bare, ratios) = match &self.found {
            Ok(found) => found,
            Err(why) => return writeln!(page, "| {what} | not measured: {why} | | | {budget} | |"),
        };
        let (low, high) = middle_half(ratios);
        let (bare, ratio) = (median(bare), median(ratios));
        let verdict = match &self.flaw {
            Some(flaw) => format!("not met: {flaw}"),
            None => verdict(ratio <= *budget).to_owned(),
        };
        writeln!(
            page,
            "| {what} | {bare:.2} s | {ratio:.3} | {low:.3} - {high:.3} | {budget} | {verdict} |"
        )
    }
}

/// What the middle half of the values lies between.
fn middle_half(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quarter = sorted.len() / 4;
    let (lower, upper) = sorted.split_at(sorted.len() / 2);
    let low = lower.get(quarter).or(upper.first());
    let high = upper.iter().rev().nth(quarter);
    (
        low.copied().unwrap_or_default(),
        high.copied().unwrap_or_default(),
    )
}

impl Row {
    fn write(&self, page: &mut String) -> std::fmt::Result {
        let Self {
            what,
            storm,
            median,
            ..
        } = self;
        write!(page, "| {what} | {storm} | ")?;
        let (Some(ratio), Some(above)) = (self.ratio, self.above_floor) else {
            let reason = self.absent.as_deref().unwrap_or("there were no passes");
            return writeln!(page, "not measured: {reason} | | | | |");
        };
        let Estimate { figure, low, high } = ratio;
        write!(page, "{figure:.3} [{low:.3}, {high:.3}] | ")?;
        let Estimate { figure, low, high } = above;
        write!(
            page,
            "{figure:+.3} [{low:+.3}, {high:+.3}] | {median:.3} | "
        )?;
        let (budget, verdict) = match self.budget {
            Budget::None => return writeln!(page, "| {} |", self.flaw.as_deref().unwrap_or("")),
            Budget::AboveFloor(most) => (format!("floor {most:+.2}"), above.verdict(most)),
            Budget::Ratio(most) => (format!("{most:.2}"), ratio.verdict(most)),
        };
        match &self.flaw {
            Some(flaw) => writeln!(page, "{budget} | not met: {flaw} |"),
            None => writeln!(page, "{budget} | {verdict} |"),
        }
    }
}

impl Estimate {
    /// Whether it is at most this, and whether chance leaves that open.
    fn verdict(&self, most: f64) -> String {
        let is_open = self.low <= most && most < self.high;
        let doubt = if is_open { ", within chance" } else { "" };
        format!("{}{doubt}", verdict(self.figure <= most))
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "not met" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn a_row_is_held_against_its_budget() {
        let estimate = |figure, low, high| Some(Estimate { figure, low, high });
        let mut row = Row {
            what: "x",
            storm: "1 thread".to_owned(),
            budget: Budget::AboveFloor(0.03),
            absent: None,
            ratio: estimate(1.05, 1.045, 1.06),
            above_floor: estimate(0.02, 0.01, 0.035),
            median: 1.07,
            flaw: None,
        };
        let text = |row: &Row| {
            let mut text = String::new();
            row.write(&mut text).expect("a String takes everything");
            text
        };
        assert_eq!(
            text(&row),
            "| x | 1 thread | 1.050 [1.045, 1.060] | +0.020 [+0.010, +0.035] | 1.070 | \
             floor +0.03 | met, within chance |\n"
        );
        row.budget = Budget::Ratio(1.06);
        assert!(text(&row).ends_with("| 1.06 | met |\n"));
        row.budget = Budget::Ratio(1.04);
        assert!(text(&row).ends_with("| 1.04 | not met |\n"));
        row.flaw = Some("2 events lost".to_owned());
        assert!(text(&row).ends_with("| 1.04 | not met: 2 events lost |\n"));
        row.ratio = None;
        row.absent = Some("no perf".to_owned());
        assert_eq!(
            text(&row),
            "| x | 1 thread | not measured: no perf | | | | |\n"
        );
    }
}
