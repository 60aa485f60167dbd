//! Prefix hits of a real service's requests, by policy and capacity: what eviction costs in hits, not in time.
//!
//! Prints a table in Markdown, a line as soon as it is known. See `docs/benchmarks.md`.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use benches::{Policy, Trace, in_repository};
use clap::Parser;
use plotters::prelude::*;

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
        Some(file) => {
            plot(&in_repository(file), lines, rate(most)).with_context(|| format!("plot {}", file.display()))
        }
        None => Ok(()),
    }
}

fn plot(file: &Path, mut lines: Vec<Line>, most: f64) -> Result<()> {
    lines.sort_by_key(|line| line.blocks);
    let (Some(least), Some(greatest)) = (lines.first(), lines.last()) else { return Ok(()) };
    let (from, to) = (least.blocks, greatest.blocks.max(least.blocks + 1));
    let mut drawing = String::new();
    draw(SVGBackend::with_string(&mut drawing, (720, 420)), &lines, from..to, most)
        .map_err(|error| anyhow!("{error}"))?;
    Ok(std::fs::write(file, drawing)?)
}

type Failed<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

fn draw<'a>(
    on: SVGBackend<'a>,
    lines: &[Line],
    blocks: std::ops::Range<u32>,
    most: f64,
) -> Result<(), Failed<'a>> {
    let area = on.into_drawing_area();
    area.fill(&WHITE)?;
    let ends = [(blocks.start, most), (blocks.end, most)];
    let capacities = LogCoord::from(blocks.log_scale());
    let capacities = capacities.with_key_points(lines.iter().map(|line| line.blocks).collect());
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d(capacities, 0.0..most * 1.1)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .x_desc("capacity, thousands of blocks")
        .y_desc("prefix hits, % of blocks")
        .x_label_formatter(&|blocks| (f64::from(*blocks) / 1000.0).to_string())
        .y_label_formatter(&|rate| format!("{rate:.0}"))
        .draw()?;
    let series = [
        ("unlimited", BLACK.mix(0.5), ends.to_vec()),
        ("LRU", BLUE.mix(1.0), lines.iter().map(|line| (line.blocks, line.lru)).collect()),
        ("ARC", RED.mix(1.0), lines.iter().map(|line| (line.blocks, line.arc)).collect()),
    ];
    for (name, color, points) in series {
        let style = color.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points, style).point_size(if name == "unlimited" { 0 } else { 3 }))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .draw()?;
    area.present()
}

fn say(line: impl Display) -> Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}
