//! The page of a sweep: a plot and a table.

use super::plot::{HEIGHT, Plot, Point, WIDTH, plot};
use super::{SettingRow, SweepTable};
use askama::Template;
use marquetry_page::human;

#[derive(Template)]
#[template(path = "sweep.html", whitespace = "minimize")]
struct Page<'a> {
    /// What begins the file, so that whoever writes it again knows it.
    mark: &'a str,
    title: &'a str,
    metric: &'static str,
    verdict: String,
    cross_validated: Option<String>,
    images: String,
    groups: String,
    machine: &'a str,
    written: &'a str,
    size: [f64; 2],
    front: &'a str,
    below: &'a [(f64, String)],
    left: &'a [(f64, String)],
    rows: Vec<Row<'a>>,
    left_out: &'a [(String, String)],
}

/// A setting, in words.
struct Row<'a> {
    point: &'a Point,
    class: &'static str,
    name: &'a str,
    score: String,
    gain: String,
    forwards: String,
    seconds: String,
    ratio: String,
    remarks: String,
}

/// The page of `table`, which begins with a comment of `mark`. `machine` says on what it was measured, `written` where the job lies.
pub fn page(table: &SweepTable, title: &str, (mark, machine, written): (&str, &str, &str)) -> String {
    let Plot { points, front, below, left } = plot(table);
    let unit = if table.groups_are_images { ["image", "images"] } else { ["group", "groups"] };
    let page = Page {
        mark,
        title,
        metric: table.metric_name(),
        verdict: table.verdict(),
        cross_validated: table.cross_validated(),
        images: human::counted(table.images as u64, "image", "images"),
        groups: human::counted(table.groups as u64, unit[0], unit[1]),
        machine,
        written,
        size: [WIDTH, HEIGHT],
        front: &front,
        below: &below,
        left: &left,
        rows: points.iter().map(|point| row(table, point)).collect(),
        left_out: &table.left_out,
    };
    page.render().expect("writing to a string cannot fail, and no filter of the template does")
}

fn row<'a>(table: &'a SweepTable, point: &'a Point) -> Row<'a> {
    let place = point.number - 1;
    let SettingRow { name, judged, forwards, seconds_per_megapixel, ratio, .. } = &table.settings[place];
    let gain = judged.gain.map(|gain| format!("{:+.4} ± {:.4}", gain.gain, gain.standard_error));
    Row {
        point,
        class: match (place == table.chosen, judged.on_front) {
            (true, _) => "chosen",
            (false, true) => "front",
            (false, false) => "off",
        },
        name,
        score: format!("{:.4}", judged.score),
        gain: gain.filter(|_| place > 0).unwrap_or_default(),
        forwards: human::count(*forwards),
        seconds: human::seconds(*seconds_per_megapixel),
        ratio: format!("{ratio:.2}×"),
        remarks: table.remarks(place),
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::table_of;
    use super::*;

    #[test]
    fn a_page_has_every_setting_and_names_are_no_markup() {
        let mut table = table_of(&[("the job as it is", 0.8, 1.0), ("d4 <b>", 0.82, 8.0)]);
        table.left_out.push(("size 64".into(), "the model takes 32 × 32 px & nothing else".into()));
        let html = page(&table, "a & b", ("Written by me", "2 lanes", "job-tuned.yaml"));
        assert!(html.starts_with("<!-- Written by me -->"), "{}", &html[..80]);
        assert_eq!(html.matches("<circle").count(), 2);
        assert!(html.contains("d4 &#60;b&#62;") && !html.contains("<b>"), "{html}");
        assert!(html.contains("+0.0200 ± 0.0010") && html.contains("8.00×") && html.contains("size 64"));
    }
}
