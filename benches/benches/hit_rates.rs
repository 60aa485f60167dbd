//! Prefix hits of a real service's requests, by policy and capacity: what eviction costs in hits, not in time.
//!
//! Prints a table in Markdown, a line as soon as it is known. See `docs/benchmarks.md`.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use benches::{Chart, Policy, Scale, Trace, in_repository};
use clap::Parser;
use plotters::style::{BLUE, RED, RGBColor};

/// Plays the Mooncake conversation trace on indexes that are too small for it, under LRU and ARC
#[derive(Parser)]
#[command(name = "cargo xtask bench hit_rates", bin_name = "cargo xtask bench hit_rates")]
struct Cli {
    /// The trace, seen from the repository: one JSON object a line, with the blocks of a request in "hash_ids"
    #[arg(long, default_value = Trace::USUAL_PLACE)]
    trace: PathBuf,
    /// Capacities in blocks, one line each
    #[arg(long, value_delimiter = ',', default_values_t = [100_000, 50_000, 20_000, 5000],
        value_parser = clap::value_parser!(u32).range(1..))]
    blocks: Vec<u32>,
    /// Draw the hit rates over the capacity into this SVG file, seen from the repository
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Passed by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

const GREY: RGBColor = RGBColor(128, 128, 128);

/// Prefix hits, in per cent of all blocks, at a capacity.
struct Line {
    blocks: u32,
    lru: f64,
    arc: f64,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let file = in_repository(&cli.trace);
    if cli.trace == Path::new(Trace::USUAL_PLACE) && !file.exists() {
        return say("skipped: the trace is not beside the repository; give its place with --trace");
    }
    let trace = Trace::read(&file)?;
    let asked = trace.blocks();
    let rate = |hits: usize| 100.0 * hits as f64 / asked.max(1) as f64;
    say("| blocks | LRU: prefix hits | hit rate | ARC: prefix hits | hit rate |\n|---|---|---|---|---|")?;
    let mut lines = Vec::new();
    for &blocks in &cli.blocks {
        let [lru, arc] = [Policy::Lru, Policy::Arc].map(|policy| trace.hits(u64::from(blocks), policy));
        let (lru, arc) = (lru?, arc?);
        say(format_args!("| {blocks} | {lru} | {:.2} % | {arc} | {:.2} % |", rate(lru), rate(arc)))?;
        lines.push(Line { blocks, lru: rate(lru), arc: rate(arc) });
    }
    let most = trace.most_hits();
    say(format_args!("| unlimited | {most} | {:.2} % | {most} | {:.2} % |", rate(most), rate(most)))?;
    say(format_args!("\n{} requests, {asked} blocks.", trace.requests().len()))?;
    match &cli.plot {
        Some(file) => plot(&in_repository(file), lines, rate(most)),
        None => Ok(()),
    }
}

fn plot(file: &Path, mut lines: Vec<Line>, most: f64) -> Result<()> {
    lines.sort_by_key(|line| line.blocks);
    let line = |name, color, marked, rate: &dyn Fn(&Line) -> f64| {
        let points = lines.iter().map(|line| (f64::from(line.blocks), rate(line))).collect();
        benches::Line { name, color, points, marked }
    };
    let chart = Chart {
        x: ("capacity, thousands of blocks", |blocks| (blocks / 1000.0).to_string()),
        y: "prefix hits, % of blocks",
        scale: Scale::Linear,
        lines: vec![
            line("unlimited", GREY, false, &|_| most),
            line("LRU", BLUE, true, &|line| line.lru),
            line("ARC", RED, true, &|line| line.arc),
        ],
    };
    chart.draw(file)
}

fn say(line: impl Display) -> Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}
