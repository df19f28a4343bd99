//! The tables, the CSV and the plot.

use std::fmt::Write as _;
use std::fs;
use std::io;

use super::sessions::Figure;
use super::workload::{Measured, Workload, P99_RATIO_MAX};
use crate::process::target_path;

/// What came out for one workload, run by run.
pub(super) struct FanOut {
    pub(super) workload: Workload,
    pub(super) floor: Vec<Measured>,
    pub(super) chatd: Vec<Measured>,
}

/// Medians over the runs; what was not measured is not there.
struct Row<'a> {
    workload: &'a Workload,
    floor: Option<Measured>,
    chatd: Option<Measured>,
    /// Of the CPU per line, and of the 99th percentile of the latency, chatd's to the floor's.
    ratio: Option<f64>,
    p99_ratio: Option<f64>,
    verdict: &'static str,
}

impl Row<'_> {
    fn new(fan_out: &FanOut, is_judged: bool) -> Row<'_> {
        let median_of = |ratio: fn(&Measured, &Measured) -> f64| {
            let runs = fan_out.floor.iter().zip(&fan_out.chatd);
            median(runs.map(|(floor, chatd)| ratio(floor, chatd)))
        };
        let mut row = Row {
            workload: &fan_out.workload,
            floor: Measured::median(&fan_out.floor),
            chatd: Measured::median(&fan_out.chatd),
            ratio: median_of(|floor, chatd| chatd.cpu_ns / floor.cpu_ns),
            p99_ratio: median_of(|floor, chatd| chatd.p99_ms / floor.p99_ms),
            verdict: "-",
        };
        if is_judged {
            row.verdict = row.judge().unwrap_or("-");
        }
        row
    }

    fn judge(&self) -> Option<&'static str> {
        let (cpu, p99) = (self.ratio?, self.p99_ratio?);
        let is_cheap = cpu <= self.workload.bound;
        let is_soon =
            p99 <= P99_RATIO_MAX && self.chatd.as_ref()?.p99_ms <= self.workload.p99_ms_max;
        Some(match (is_cheap, is_soon) {
            (true, true) => "within",
            (true, false) => "OVER (p99)",
            (false, true) => "OVER",
            (false, false) => "OVER (both)",
        })
    }
}

impl Measured {
    fn median(runs: &[Self]) -> Option<Self> {
        let of = |field: fn(&Self) -> f64| median(runs.iter().map(field));
        Some(Self {
            cpu_ns: of(|run| run.cpu_ns)?,
            cpu_share: of(|run| run.cpu_share)?,
            p50_ms: of(|run| run.p50_ms)?,
            p99_ms: of(|run| run.p99_ms)?,
            ..Self::default()
        })
    }
}

/// Prints both tables and writes the files.
pub(super) fn tell(
    fan_outs: &[FanOut],
    figures: &[Vec<Figure>],
    is_judged: bool,
) -> io::Result<()> {
    let row = |fan_out| Row::new(fan_out, is_judged);
    let rows: Vec<Row> = fan_outs.iter().map(row).collect();
    let figures = medians(figures);
    if !rows.is_empty() {
        println!("\nServer CPU per delivered line, and latency\n");
        print!("{}", fan_out_table(&rows));
    }
    if !figures.is_empty() {
        println!("\nWhat sessions cost\n");
        print!("{}", figure_table(&figures, is_judged));
    }
    let csv_path = target_path("loopback.csv")?;
    fs::write(&csv_path, csv(&rows, &figures, is_judged))?;
    let svg_path = target_path("loopback.svg")?;
    fs::write(&svg_path, svg(&rows))?;
    println!("\n{}\n{}", csv_path.display(), svg_path.display());
    Ok(())
}

fn fan_out_table(rows: &[Row]) -> String {
    let mut table = String::from(
        "| workload | clients | floor ns/line | chatd ns/line | ratio | at most | floor CPU | chatd CPU \
         | floor p50/p99 ms | chatd p50/p99 ms | p99 ratio | at most | verdict |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n",
    );
    let cells = |measured: &Option<Measured>| match measured {
        None => ["-"; 3].map(str::to_owned),
        Some(of) => [
            format!("{:.0}", of.cpu_ns),
            format!("{:.0} %", of.cpu_share * 100.0),
            format!("{:.2} / {:.2}", of.p50_ms, of.p99_ms),
        ],
    };
    for row in rows {
        let Workload {
            name,
            clients,
            bound,
            ..
        } = row.workload;
        let [floor_cost, floor_share, floor_delay] = cells(&row.floor);
        let [chatd_cost, chatd_share, chatd_delay] = cells(&row.chatd);
        let told = |ratio: Option<f64>| ratio.map_or("-".into(), |ratio| format!("{ratio:.2}"));
        let (ratio, p99_ratio) = (told(row.ratio), told(row.p99_ratio));
        let verdict = row.verdict;
        let _ = writeln!(
            table,
            "| {name} | {clients} | {floor_cost} | {chatd_cost} | {ratio} | {bound:.2} | {floor_share} | {chatd_share} \
             | {floor_delay} | {chatd_delay} | {p99_ratio} | {P99_RATIO_MAX:.2} | {verdict} |",
        );
    }
    table
}

fn figure_table(figures: &[Figure], is_judged: bool) -> String {
    let mut table =
        String::from("| measure | clients | chatd | at most | verdict |\n|---|--:|--:|--:|---|\n");
    for figure in figures {
        let (value, unit) = (figure.value, figure.unit);
        let most = figure.at_most;
        let at_most = most.map_or("-".into(), |most| format!("{most} {unit}"));
        let verdict = verdict(value, most.filter(|_| is_judged));
        let _ = writeln!(
            table,
            "| {} | {} | {value:.2} {unit} | {at_most} | {verdict} |",
            figure.what, figure.clients
        );
    }
    table
}

/// Of a value that is at most to be as much, if it is judged at all.
fn verdict(value: f64, at_most: Option<f64>) -> &'static str {
    match at_most {
        None => "-",
        Some(most) if value > most => "OVER",
        Some(_) => "within",
    }
}

fn csv(rows: &[Row], figures: &[Figure], is_judged: bool) -> String {
    let mut csv = String::from("measure,clients,subject,value,unit,at_most,verdict\n");
    for row in rows {
        let Workload {
            name,
            clients,
            bound,
            ..
        } = row.workload;
        for (subject, measured) in [("floor", &row.floor), ("chatd", &row.chatd)] {
            let Some(of) = measured else { continue };
            for (what, value, unit) in [
                ("CPU per line", of.cpu_ns, "ns"),
                ("CPU share", of.cpu_share, "x"),
                ("p50", of.p50_ms, "ms"),
                ("p99", of.p99_ms, "ms"),
            ] {
                let _ = writeln!(csv, "{name} {what},{clients},{subject},{value:.3},{unit},,");
            }
        }
        for (what, ratio, at_most) in [
            ("ratio", row.ratio, *bound),
            ("p99 ratio", row.p99_ratio, P99_RATIO_MAX),
        ] {
            let Some(ratio) = ratio else { continue };
            let verdict = verdict(ratio, is_judged.then_some(at_most));
            let _ = writeln!(
                csv,
                "{name} {what},{clients},chatd,{ratio:.3},x,{at_most},{verdict}"
            );
        }
    }
    for figure in figures {
        let (most, value) = (figure.at_most, figure.value);
        let _ = writeln!(
            csv,
            "\"{}\",{},chatd,{value:.3},{},{},{}",
            figure.what,
            figure.clients,
            figure.unit,
            most.map_or(String::new(), |most| most.to_string()),
            verdict(value, most.filter(|_| is_judged))
        );
    }
    csv
}

/// One bar for each ratio, a tick where its bound lies, and a line for the floor.
fn svg(rows: &[Row]) -> String {
    const LABEL_WIDTH: f64 = 150.0;
    const UNIT_WIDTH: f64 = 320.0;
    const ROW_HEIGHT: f64 = 34.0;
    const TOP: f64 = 50.0;
    let ratios = rows.iter().filter_map(|row| row.ratio);
    let longest = ratios.fold(1.2, f64::max).min(4.0);
    let bottom = TOP + ROW_HEIGHT * rows.len() as f64;
    let (width, height) = (LABEL_WIDTH + UNIT_WIDTH * longest + 80.0, bottom + 20.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"22\" font-size=\"15\">Server CPU per delivered line, as a ratio to the floor \
         (tick: at most)</text>\n"
    );
    for (index, row) in rows.iter().enumerate() {
        let Workload { name, bound, .. } = row.workload;
        let ratio = row.ratio.unwrap_or(0.0);
        let told = row
            .ratio
            .map_or("not measured".into(), |ratio| format!("{ratio:.2}"));
        let color = if ratio <= *bound { "#4a8" } else { "#c63" };
        let (bar, bound) = (ratio.min(longest) * UNIT_WIDTH, bound * UNIT_WIDTH);
        let (tick, told_x) = (LABEL_WIDTH + bound, LABEL_WIDTH + bar.max(bound) + 8.0);
        let y = TOP + ROW_HEIGHT * index as f64;
        let (text_y, tick_y) = (y + 16.0, y - 3.0);
        let _ = writeln!(
            svg,
            "<text x=\"10\" y=\"{text_y:.0}\">{name}</text>\n\
             <rect x=\"{LABEL_WIDTH}\" y=\"{y:.0}\" width=\"{bar:.1}\" height=\"22\" fill=\"{color}\"/>\n\
             <path d=\"M{tick:.1} {tick_y:.0}v28\" stroke=\"black\" stroke-width=\"2\"/>\n\
             <text x=\"{told_x:.1}\" y=\"{text_y:.0}\">{told}</text>"
        );
    }
    let floor = LABEL_WIDTH + UNIT_WIDTH;
    let _ = writeln!(
        svg,
        "<path d=\"M{floor:.1} {:.0}V{bottom:.0}\" stroke=\"#888\" stroke-dasharray=\"4\"/>\n\
         <text x=\"{:.1}\" y=\"{:.0}\" fill=\"#666\">floor</text>\n</svg>",
        TOP - 8.0,
        floor - 14.0,
        TOP - 12.0,
    );
    svg
}

/// Of each figure the median over the runs in which it was measured.
fn medians(runs: &[Vec<Figure>]) -> Vec<Figure> {
    let mut told: Vec<Figure> = Vec::new();
    for figure in runs.iter().flatten() {
        let is_same =
            |other: &&Figure| (&other.what, other.clients) == (&figure.what, figure.clients);
        if !told.iter().any(|other| is_same(&other)) {
            let values = runs
                .iter()
                .flatten()
                .filter(is_same)
                .map(|other| other.value);
            told.push(Figure {
                value: median(values).unwrap_or(0.0),
                ..figure.clone()
            });
        }
    }
    told
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
