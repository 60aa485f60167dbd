//! `--plots`: throughput and latency over the size of an object, ours and the raw way, as a table and as two drawings.

use std::path::Path;

use anyhow::Result;
use benches::{Chart, Line, Pairs, Scale};
use plotters::style::{BLUE, RGBColor};

use crate::adapters::{Adapter, How};
use crate::bed::{Bed, KIB, LARGEST, Loads, MIB, Objects};
use crate::latency::{percentile, single};
use crate::loads::threads;
use crate::plain::{Open, Opening};
use crate::table::say;

const SIZES: [usize; 8] = [4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB, LARGEST];
/// Bytes of all objects of a size, unless those are too many.
const ALL: usize = 256 * MIB;
/// Most objects of a size.
const MOST: usize = 8192;
/// Bytes of a batch, unless those are too many or too few objects.
const BATCH: usize = 16 * MIB;
/// Loads of one object, for a percentile.
const SINGLES: u64 = 500;

const GREY: RGBColor = RGBColor(117, 117, 117);
const ORANGE: RGBColor = RGBColor(230, 120, 0);
const GREEN: RGBColor = RGBColor(30, 130, 60);

/// What was measured: GB/s, and µs of one load.
struct Point {
    bytes: usize,
    dynamic: f64,
    opening: f64,
    pool: f64,
    open: f64,
    median: f64,
    slow: f64,
    raw_median: f64,
}

/// Measures each size, prints the table, and draws into a directory.
pub(crate) fn measure(bed: &Bed, pairs: usize, directory: &Path) -> Result<()> {
    say(
        "| object | dynamic | open, pread, close | pool | pread | one load, p50 | p99 | open, pread, close, p50 |\n\
         |---|---|---|---|---|---|---|---|",
    )?;
    let mut points = Vec::new();
    for bytes in SIZES {
        let point = at(bed, pairs, bytes)?;
        say(format_args!(
            "| {} KiB | {:.2} GB/s | {:.2} GB/s | {:.2} GB/s | {:.2} GB/s | {:.0} µs | {:.0} µs | {:.0} µs |",
            bytes / KIB,
            point.dynamic,
            point.opening,
            point.pool,
            point.open,
            point.median,
            point.slow,
            point.raw_median,
        ))?;
        points.push(point);
    }
    draw(&points, directory)
}

fn at(bed: &Bed, pairs: usize, bytes: usize) -> Result<Point> {
    let batch = (BATCH / bytes).clamp(4, 64);
    let count = (ALL / bytes).clamp(batch, MOST);
    let objects = Objects { bytes, batch: batch as u64, count: count as u64 };
    let speeds = |raw: &dyn Loads, ours: &dyn Loads| {
        let took = |by: &dyn Loads| anyhow::Ok(bed.load(objects, by)?.wall);
        let pairs = Pairs::measure(pairs, || took(raw), || took(ours))?;
        let speed = |seconds: f64| objects.total() as f64 / 1e9 / seconds.max(1e-9);
        anyhow::Ok((speed(pairs.base_seconds().median), speed(pairs.other_seconds().median)))
    };
    let adapter = Adapter::dynamic(bed, How::default())?.holding(bed, objects)?;
    let files = adapter.files(objects)?;
    let (opening, dynamic) = speeds(&Opening::of(files.clone(), threads()?)?, &adapter)?;
    let times = |by: &dyn Loads| {
        let load = |number: u64| single(bed, by, objects, number * 7 % objects.count);
        (0..SINGLES).map(load).collect::<Result<Vec<_>>>()
    };
    let (mut raw, mut ours) = (times(&Opening::of(files, 1)?)?, times(&adapter)?);
    drop(adapter);
    let pool = Adapter::pool(bed, objects)?.holding(bed, objects)?;
    let (open, pool) = speeds(&Open::holding(bed, objects, threads()?)?, &pool)?;
    let us = |times: &mut [std::time::Duration], percent| percentile(times, percent).as_secs_f64() * 1e6;
    Ok(Point {
        bytes,
        dynamic,
        opening,
        pool,
        open,
        median: us(&mut ours, 50),
        slow: us(&mut ours, 99),
        raw_median: us(&mut raw, 50),
    })
}

fn draw(points: &[Point], directory: &Path) -> Result<()> {
    let line = |name, color, value: fn(&Point) -> f64| {
        let points = points.iter().map(|point| (point.bytes as f64, value(point))).collect();
        Line { name, color, points, marked: true }
    };
    let draw = |name, y, lines| {
        let chart = Chart { x: ("bytes of an object", size), y, scale: Scale::Logarithmic, lines };
        chart.draw(&directory.join(name))
    };
    let throughput = vec![
        line("open, pread, close", GREY, |point| point.opening),
        line("dynamic", BLUE, |point| point.dynamic),
        line("pread on open files", ORANGE, |point| point.open),
        line("pool", GREEN, |point| point.pool),
    ];
    draw("load-throughput.svg", "GB/s", throughput)?;
    let latency = vec![
        line("open, pread, close: p50", GREY, |point| point.raw_median),
        line("dynamic: p50", BLUE, |point| point.median),
        line("dynamic: p99", ORANGE, |point| point.slow),
    ];
    draw("load-latency.svg", "µs, one object", latency)
}

fn size(bytes: f64) -> String {
    if bytes < MIB as f64 {
        format!("{:.0} KiB", bytes / KIB as f64)
    } else {
        format!("{:.0} MiB", bytes / MIB as f64)
    }
}
