//! The page: what the template is filled with.

use askama::Template;

use super::data::{Report, ReportImage};
use super::parts::{self, Card, Histogram, Number, Stages, Warnings};
use marquetry_page::human;

/// Rows of the images table that are laid out together: the browser skips those out of sight.
const ROWS_TOGETHER: usize = 100;

/// Up to so many classes have a column of numbers in the images table; more have the bar alone.
const CLASS_COLUMNS_MAX: usize = 4;

#[derive(Template)]
#[template(path = "report.html", whitespace = "minimize")]
struct Page<'a> {
    report: &'a Report,
    numbers: Vec<Number>,
    stages: Stages,
    warnings: Warnings<'a>,
    sheet: Vec<Card<'a>>,
    histogram: Option<Histogram>,
    /// Whether any pixel anywhere is without scores: only then the table has a column for it.
    any_missing: bool,
    class_columns: bool,
}

impl Page<'_> {
    /// The members of all groups together.
    fn members(&self) -> u64 {
        self.report.groups.iter().map(|group| parts::len(&group.members)).sum()
    }

    /// Widths of the columns of the images table, for `grid-template-columns`.
    fn columns(&self) -> String {
        let mut columns = "minmax(9rem,3fr) 8.5rem 6rem".to_owned();
        if self.any_missing {
            columns.push_str(" 5.5rem");
        }
        if self.class_columns {
            columns.push_str(&" minmax(4rem,5.5rem)".repeat(self.report.classes.len()));
        }
        if !self.report.classes.is_empty() {
            columns.push_str(" minmax(7rem,2fr)");
        }
        columns
    }

    fn row_shares(&self, image: &ReportImage) -> Vec<(usize, String)> {
        parts::segments(&image.shares, self.report.classes.len())
    }

    /// The share of every class, as many as there are columns, also where an image has none.
    fn share_cells(&self, image: &ReportImage) -> Vec<String> {
        (0..self.report.classes.len())
            .map(|class| {
                image.shares.get(class).map_or(human::DASH.to_owned(), |share| human::percent(*share))
            })
            .collect()
    }
}

/// The report as one HTML file. Its size is that of the pictures, by a third more, and about 200 bytes an image.
pub fn render(report: &Report) -> String {
    let page = Page {
        report,
        numbers: parts::numbers(report),
        stages: parts::stages(report),
        warnings: parts::warnings(report),
        sheet: parts::sheet(report),
        histogram: parts::histogram(&report.images),
        any_missing: report.images.iter().any(|image| image.missing > 0.0),
        class_columns: report.classes.len() <= CLASS_COLUMNS_MAX,
    };
    page.render().expect("writing to a string cannot fail, and no filter of the templates does")
}
