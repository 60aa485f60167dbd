//! Lines over the size of an object, both axes logarithmic, as an SVG file.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use plotters::prelude::*;

use crate::bed::{KIB, MIB};

/// One line: (bytes, value), by size.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) color: RGBColor,
    pub(crate) points: Vec<(f64, f64)>,
}

type Failed<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

/// Draws, over whatever is in the file.
pub(crate) fn plot(file: &Path, what: &str, lines: &[Line]) -> Result<()> {
    let mut drawing = String::new();
    draw(SVGBackend::with_string(&mut drawing, (720, 420)), what, lines)
        .map_err(|error| anyhow!("{error}"))?;
    std::fs::write(file, drawing).with_context(|| format!("cannot write {}", file.display()))
}

fn draw<'a>(on: SVGBackend<'a>, what: &str, lines: &[Line]) -> Result<(), Failed<'a>> {
    let all = || lines.iter().flat_map(|line| &line.points).copied();
    let range = |of: fn((f64, f64)) -> f64| {
        all()
            .map(of)
            .fold((f64::MAX, f64::MIN_POSITIVE), |(least, most), value| (least.min(value), most.max(value)))
    };
    let ((from, to), (low, high)) = (range(|point| point.0), range(|point| point.1));
    let sizes: Vec<f64> =
        lines.first().map(|line| line.points.iter().map(|point| point.0).collect()).unwrap_or_default();
    let area = on.into_drawing_area();
    area.fill(&WHITE)?;
    let bytes = LogCoord::from((from..to).log_scale()).with_key_points(sizes);
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d(bytes, (low * 0.8..high * 1.3).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .x_desc("bytes of an object")
        .y_desc(what)
        .x_label_formatter(&|bytes| size(*bytes))
        .draw()?;
    for Line { name, color, points } in lines {
        let style = color.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style).point_size(3))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .draw()?;
    area.present()
}

fn size(bytes: f64) -> String {
    if bytes < MIB as f64 {
        format!("{:.0} KiB", bytes / KIB as f64)
    } else {
        format!("{:.0} MiB", bytes / MIB as f64)
    }
}
