//! Made-up runs through model, report and renderers, without any kernel.

mod cases;
mod certainty;
mod checks;
mod exports;
mod judge;
mod judge_sampled;
mod marks;
mod memory;
mod model;
mod phases;
mod random;
mod run;
mod text;
mod told;
