//! TraceQ's `.prof`: MessagePack in gzip. A map with `metadata`, which names the units, and `data`,
//! a list of maps: a time and four figures, each 0 where it was not asked for.

use std::{fmt, io::Read};

use flate2::read::GzDecoder;
use serde::{
    Deserialize,
    de::{Deserializer, Error, SeqAccess, Visitor},
};

use super::{
    Epoch, Imported, MOST_BYTES, Malformed, Measure,
    amount::{Amount, Series},
};

/// How gzip begins.
pub(super) const GZIP: &[u8] = &[0x1f, 0x8b];

const NS_PER_MS: i64 = 1_000_000;
/// Times above this count from 1970, in milliseconds. TraceQ 0.0.1 calls its times so and gives
/// `perf_counter`, which on Linux counts from the kernel's start.
const LONG_AGO_MS: i64 = 1_000_000_000_000;

#[derive(Deserialize)]
struct Profile {
    #[serde(default)]
    metadata: Metadata,
    data: Samples,
}

#[derive(Default, Deserialize)]
struct Metadata {
    kernel_memory_usage_unit: Option<String>,
    psutil_memory_usage_unit: Option<String>,
    resource_memory_usage_unit: Option<String>,
    tracemalloc_memory_usage_unit: Option<String>,
}

#[derive(Deserialize)]
struct Sample {
    kernel_memory_usage: f64,
    psutil_memory_usage: f64,
    resource_memory_usage: f64,
    tracemalloc_memory_usage: f64,
    unix_timestamp: i64,
}

/// A figure of each sample.
type Figure = fn(&Sample) -> f64;

const FIGURES: [(&str, Measure, Figure); 4] = [
    ("TraceQ, VmRSS", Measure::Polled, |s| s.kernel_memory_usage),
    ("TraceQ, psutil", Measure::Polled, |s| s.psutil_memory_usage),
    ("TraceQ, ru_maxrss", Measure::MaxRss, |s| {
        s.resource_memory_usage
    }),
    ("TraceQ, tracemalloc", Measure::Heap, |s| {
        s.tracemalloc_memory_usage
    }),
];

/// One by one, so that a short file cannot ask for much memory, and the one that is wrong can be
/// named.
struct Samples(Vec<Sample>);

impl<'de> Deserialize<'de> for Samples {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneByOne;

        impl<'de> Visitor<'de> for OneByOne {
            type Value = Samples;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of samples")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Samples, A::Error> {
                let mut samples = Vec::new();
                loop {
                    let next = list.next_element();
                    let named = |error| format!("sample {}: {error}", samples.len() + 1);
                    match next.map_err(|error| A::Error::custom(named(error)))? {
                        Some(sample) => samples.push(sample),
                        None => return Ok(Samples(samples)),
                    }
                }
            }
        }

        deserializer.deserialize_seq(OneByOne)
    }
}

pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Imported>, Malformed> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes)
        .take(MOST_BYTES + 1)
        .read_to_end(&mut plain)
        .map_err(|error| Malformed::whole(format!("it cannot be unpacked: {error}")))?;
    if plain.len() as u64 > MOST_BYTES {
        return Err(Malformed::whole(format!(
            "it unpacks to more than {MOST_BYTES} bytes"
        )));
    }
    let Profile { metadata, data } = rmp_serde::from_slice(&plain)
        .map_err(|error| Malformed::whole(format!("it is no profile: {error}")))?;
    let units = [
        metadata.kernel_memory_usage_unit,
        metadata.psutil_memory_usage_unit,
        metadata.resource_memory_usage_unit,
        metadata.tracemalloc_memory_usage_unit,
    ];
    let mut told = Vec::new();
    for ((name, measure, figure), unit) in FIGURES.into_iter().zip(units) {
        // A figure that was not asked for is 0 in every sample.
        if data.0.iter().any(|sample| figure(sample) != 0.0) {
            let series = series(name, unit.as_deref(), &data.0, figure)?;
            let mut times = data.0.iter().map(|sample| sample.unix_timestamp);
            let epoch = match times.all(|ms| ms > LONG_AGO_MS) {
                true => Epoch::Unix,
                false => Epoch::Boot,
            };
            told.push(series.imported(name, measure, epoch)?);
        }
    }
    if told.is_empty() {
        return Err(Malformed::whole("no sample in it has a figure above 0"));
    }
    Ok(told)
}

fn series(
    name: &str,
    unit: Option<&str>,
    samples: &[Sample],
    figure: Figure,
) -> Result<Series, Malformed> {
    let unit_bytes = match unit {
        Some("b") => 1.0,
        Some("kb") => 1024.0,
        _ => return Err(Malformed::whole(format!("it names no unit of {name}"))),
    };
    let mut series = Series::default();
    for (i, sample) in samples.iter().enumerate() {
        let refused = |what| Malformed::whole(format!("sample {}: {what}", i + 1));
        let bytes = figure(sample) * unit_bytes;
        if !(0.0..9e15).contains(&bytes) {
            return Err(refused("its figure is no amount of memory"));
        }
        let at_ns = sample.unix_timestamp.checked_mul(NS_PER_MS);
        let at_ns = at_ns.ok_or_else(|| refused("its time is none"))?;
        let amount = Amount {
            bytes: bytes as u64,
            step_bytes: unit_bytes as u64,
        };
        series.add(Some(at_ns), amount);
    }
    Ok(series)
}
