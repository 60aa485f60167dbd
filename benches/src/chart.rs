//! Lines over a logarithmic axis, as an SVG file.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

/// Some lines.
#[derive(Debug, Clone)]
pub struct Chart<'a> {
    /// From left to right, logarithmic: what it is, and how a value is written. Where the first line has a point there is one.
    pub x: (&'a str, fn(f64) -> String),
    /// What goes up: its name.
    pub y: &'a str,
    /// How it does.
    pub scale: Scale,
    /// The lines.
    pub lines: Vec<Line>,
}

/// How values go up, and where that leaves room for the lines' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// From zero; names stand at the lower right.
    Linear,
    /// From the lowest value; names stand at the upper left.
    Logarithmic,
}

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    /// What it shows.
    pub name: &'static str,
    /// Its color.
    pub color: RGBColor,
    /// (x, y), by x, both above zero.
    pub points: Vec<(f64, f64)>,
    /// Whether each point is marked: it was measured.
    pub marked: bool,
}

type Failed<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

impl Chart<'_> {
    /// Draws, over whatever is in the file.
    ///
    /// # Errors
    /// When there is no point, or the file cannot be written.
    pub fn draw(&self, file: &Path) -> Result<()> {
        let mut drawing = String::new();
        let on = SVGBackend::with_string(&mut drawing, (720, 420));
        let (low, high) = self.range(|point| point.1).context("there is nothing to draw")?;
        match self.scale {
            Scale::Linear => self.draw_over(on, 0.0..high * 1.1),
            Scale::Logarithmic => self.draw_over(on, (low * 0.8..high * 1.3).log_scale()),
        }
        .map_err(|error| anyhow!("{error}"))?;
        std::fs::write(file, drawing).with_context(|| format!("cannot write {}", file.display()))
    }

    /// The least and the greatest.
    fn range(&self, of: fn((f64, f64)) -> f64) -> Option<(f64, f64)> {
        let values = self.lines.iter().flat_map(|line| &line.points).map(|point| of(*point));
        values.map(|value| (value, value)).reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }

    fn draw_over<'a, Y>(&self, on: SVGBackend<'a>, y: Y) -> Result<(), Failed<'a>>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        let (from, to) = self.range(|point| point.0).unwrap_or((1.0, 1.0));
        let first = self.lines.first().map_or(&[][..], |line| &line.points);
        let key_points = first.iter().map(|point| point.0).collect();
        let area = on.into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(56)
            .build_cartesian_2d(
                LogCoord::from((from..to.max(from * 1.01)).log_scale()).with_key_points(key_points),
                y,
            )?;
        let (what, written) = self.x;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .x_desc(what)
            .y_desc(self.y)
            .x_label_formatter(&|value| written(*value))
            .draw()?;
        for Line { name, color, points, marked } in &self.lines {
            let style = color.stroke_width(2);
            chart
                .draw_series(LineSeries::new(points.iter().copied(), style).point_size(if *marked {
                    3
                } else {
                    0
                }))?
                .label(*name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
        }
        let corner = match self.scale {
            Scale::Linear => SeriesLabelPosition::LowerRight,
            Scale::Logarithmic => SeriesLabelPosition::UpperLeft,
        };
        chart
            .configure_series_labels()
            .position(corner)
            .background_style(WHITE)
            .border_style(BLACK.mix(0.3))
            .draw()?;
        area.present()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_its_lines_by_name_and_marks_what_was_measured() {
        let home = tempfile::tempdir().unwrap();
        let line = |name, marked| Line {
            name,
            color: BLUE,
            points: vec![(1000.0, 1.0), (2000.0, 3.0), (4000.0, 2.0)],
            marked,
        };
        for scale in [Scale::Linear, Scale::Logarithmic] {
            let lines = vec![line("measured", true), line("known", false)];
            let chart = Chart { x: ("bytes", |bytes| format!("{bytes} B")), y: "GB/s", scale, lines };
            chart.draw(&home.path().join("a.svg")).unwrap();
            let drawn = std::fs::read_to_string(home.path().join("a.svg")).unwrap();
            for text in ["measured", "known", "2000 B", "GB/s"] {
                assert!(drawn.contains(text), "{text}");
            }
            assert_eq!(drawn.matches("<circle").count(), 3, "{scale:?}");
        }
        let empty = Chart { x: ("", |_| String::new()), y: "", scale: Scale::Linear, lines: Vec::new() };
        assert!(empty.draw(&home.path().join("b.svg")).is_err());
    }
}
