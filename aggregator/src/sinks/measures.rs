//! Measures of uncertainty of a row, for the sinks that need one.

use crate::row::{Row, RowScores};
use crate::sink::SinkError;
use marquetry_ensemble::{entropy_row, margin_row, most_probable, mutual_information_row, vote_share_row};
use marquetry_spec::Measure;

/// Writes a measure of every pixel of a row, `[W]`. Vote share is that of the row's labels, where the row has them, and else
/// of the most probable classes.
pub(super) fn measure_row(
    measure: Measure,
    row: &Row<'_>,
    scores: &RowScores<'_>,
    out: &mut [f32],
) -> Result<(), SinkError> {
    let probabilities = scores.probabilities()?;
    match measure {
        Measure::Entropy => entropy_row(probabilities, out),
        Measure::Margin => margin_row(probabilities, out),
        Measure::MutualInformation => mutual_information_row(row.members(), out),
        Measure::VoteShare => {
            let width = out.len();
            let label = |probabilities: &[f32]| {
                let mut labels = vec![0; width];
                most_probable(probabilities, &mut labels);
                labels
            };
            let votes: Vec<Vec<u16>> =
                row.members().iter().map(|member| label(member.probabilities)).collect();
            let weights: Vec<f32> = row.members().iter().map(|member| member.weight).collect();
            let labels = row.labels().map_or_else(|| label(probabilities), <[u16]>::to_vec);
            vote_share_row(&votes, &weights, &labels, out);
        }
    }
    Ok(())
}
