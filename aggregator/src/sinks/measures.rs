//! Measures of uncertainty of a row, for the sinks that need one.

use crate::row::{Row, RowScores};
use crate::sink::SinkError;
use marquetry_ensemble::{
    MemberRow, Voice, entropy_row, margin_row, most_probable, mutual_information_row, vote_share_row,
};
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
            let votes = own_labels(row.members(), out.len());
            let labels = row.labels().map_or_else(
                || {
                    let mut labels = vec![0; out.len()];
                    most_probable(probabilities, &mut labels);
                    labels
                },
                <[u16]>::to_vec,
            );
            vote_share_row(&votes, &voices(row.members()), &labels, out);
        }
    }
    Ok(())
}

/// Each member's own labels of a row of `width` pixels.
pub(super) fn own_labels(members: &[MemberRow<'_>], width: usize) -> Vec<Vec<u16>> {
    let own = |member: &MemberRow<'_>| {
        let mut labels = vec![0; width];
        member.voice.own_labels(member.probabilities, &mut labels);
        labels
    };
    members.iter().map(own).collect()
}

/// In what each member has a say.
pub(super) fn voices<'a>(members: &[MemberRow<'a>]) -> Vec<&'a Voice> {
    members.iter().map(|member| member.voice).collect()
}
