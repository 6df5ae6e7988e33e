//! How good settings are against what they take, as the numbers of an SVG.

use super::SweepTable;

/// The picture, px of its own.
pub(super) const WIDTH: f64 = 760.0;
pub(super) const HEIGHT: f64 = 380.0;
/// Room left of, above, right of and below the points.
const ROOM: [f64; 4] = [70.0, 18.0, 24.0, 48.0];
/// Steps of the vertical axis, about so many.
const STEPS: f64 = 5.0;

/// Where things are drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plot {
    pub(super) points: Vec<Point>,
    /// The staircase of the front, as an SVG path; empty of one point.
    pub(super) front: String,
    /// Places and words along the bottom, and up the left side.
    pub(super) below: Vec<(f64, String)>,
    pub(super) left: Vec<(f64, String)>,
}

/// A setting.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point {
    /// Its number in the table, from 1.
    pub(super) number: usize,
    pub(super) x: f64,
    pub(super) y: f64,
    /// The ends of its standard error, from above.
    pub(super) error: Option<[f64; 2]>,
}

/// The plot of `table`: seconds beside those of the job as it is along a logarithmic axis, the metric upwards.
pub(super) fn plot(table: &SweepTable) -> Plot {
    let rows = &table.settings;
    let error = |row: &super::SettingRow| row.judged.gain.map_or(0.0, |gain| gain.standard_error);
    let ends = |values: &mut dyn Iterator<Item = f64>| {
        values.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], v| [low.min(v), high.max(v)])
    };
    let [least, most] = ends(&mut rows.iter().map(|row| row.ratio.log2()));
    let [least, most] = [(least - 0.25).floor(), (most + 0.25).ceil()];
    let low = rows.iter().map(|row| row.judged.score - error(row));
    let high = rows.iter().map(|row| row.judged.score + error(row));
    let [bottom, top] = ends(&mut low.chain(high));
    let step = nice((top - bottom).max(1e-4) / STEPS);
    let [bottom, top] = [(bottom / step - 0.2).floor() * step, (top / step + 0.2).ceil() * step];
    let x = |ratio: f64| ROOM[0] + (ratio.log2() - least) / (most - least) * (WIDTH - ROOM[0] - ROOM[2]);
    let y = |score: f64| HEIGHT - ROOM[3] - (score - bottom) / (top - bottom) * (HEIGHT - ROOM[1] - ROOM[3]);
    let point = |(place, row): (usize, &super::SettingRow)| {
        let error = error(row);
        let ends = (error > 0.0).then(|| [y(row.judged.score + error), y(row.judged.score - error)]);
        Point { number: place + 1, x: x(row.ratio), y: y(row.judged.score), error: ends }
    };
    let points: Vec<Point> = rows.iter().enumerate().map(point).collect();
    let mut front: Vec<&Point> =
        points.iter().filter(|point| rows[point.number - 1].judged.on_front).collect();
    front.sort_by(|a, b| a.x.total_cmp(&b.x));
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    let count = ((top - bottom) / step).round() as u32;
    Plot {
        front: staircase(&front),
        below: (least as i32..=most as i32).map(|power| (x(f64::from(power).exp2()), times(power))).collect(),
        left: (0..=count)
            .map(|n| bottom + f64::from(n) * step)
            .map(|score| (y(score), format!("{score:.decimals$}")))
            .collect(),
        points,
    }
}

/// Level to the next dearer point, then up to it.
fn staircase(front: &[&Point]) -> String {
    let Some((first, others)) = front.split_first().filter(|(_, others)| !others.is_empty()) else {
        return String::new();
    };
    let steps = others.iter().map(|point| format!("H{:.1}V{:.1}", point.x, point.y));
    format!("M{:.1} {:.1}", first.x, first.y) + &steps.collect::<String>()
}

/// `¼×`, `1×`, `4×`
fn times(power: i32) -> String {
    match power {
        -1 => "½×".to_owned(),
        -2 => "¼×".to_owned(),
        ..0 => format!("1/{}×", 2_f64.powi(-power)),
        _ => format!("{}×", 2_f64.powi(power)),
    }
}

/// The next of 1, 2 and 5 times a power of ten that is no less.
fn nice(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    factors.into_iter().map(|factor| factor * power).find(|nice| *nice >= step * 0.999).unwrap_or(step)
}

#[cfg(test)]
mod tests {
    use super::super::table::table_of;
    use super::*;

    #[test]
    fn all_points_lie_in_the_picture_and_the_front_rises() {
        for rows in [
            vec![("a", 0.8, 1.0)],
            vec![("a", 0.8, 1.0), ("b", 0.8, 1.0)],
            vec![("a", 0.8, 1.0), ("b", 0.82, 4.1), ("c", 0.75, 0.2), ("d", 0.7, 3.0)],
            vec![("a", 0.0, 1.0), ("b", 1.0, 1e6)],
        ] {
            let plot = plot(&table_of(&rows));
            for point in &plot.points {
                let [above, below] = point.error.unwrap();
                assert!((ROOM[0]..=WIDTH - ROOM[2]).contains(&point.x), "{point:?}");
                assert!(above < point.y && point.y < below, "{point:?}");
                assert!(above >= ROOM[1] - 1e-9 && below <= HEIGHT - ROOM[3] + 1e-9, "{point:?}");
            }
            assert!((2..=12).contains(&plot.left.len()), "{:?}", plot.left);
            assert!(plot.below.len() >= 2 && plot.below.iter().all(|(x, _)| x.is_finite()));
        }
        let plot = plot(&table_of(&[("a", 0.8, 1.0), ("b", 0.82, 4.0), ("c", 0.75, 0.25), ("d", 0.7, 3.0)]));
        assert_eq!(plot.front.matches('H').count(), 2, "{}", plot.front);
        assert!(plot.below.iter().any(|(x, word)| word == "1×" && (x - plot.points[0].x).abs() < 1e-9));
    }

    #[test]
    fn steps_are_round() {
        assert_eq!([0.7, 1.0, 1.3, 4.0, 6.0].map(nice), [1.0, 1.0, 2.0, 5.0, 10.0]);
        assert_eq!([-3, -1, 0, 5].map(times), ["1/8×", "½×", "1×", "32×"]);
    }
}
