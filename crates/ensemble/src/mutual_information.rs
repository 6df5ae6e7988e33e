//! How far the members of an ensemble are apart at each pixel, over all classes.
//!
//! Members that have a say in some classes only do not rule out the others. Such a member is given a belief over all: of
//! classes that it does not tell from its own, what the members that have all say (their mean), and the rest of 1 as it divides it
//! among its own. By the chain rule it is then as far from that mean as the two are apart over its own classes, times what the
//! mean gives to these together; and where it says of them what the mean says, its belief is the mean.

use crate::uncertainty::{MemberRow, sums, write};

/// Mutual information of label and member at each pixel, over ln C: the mean of `KL(p_m ‖ mean p)` over members. It is
/// `H[mean p] − mean H[p_m]` (BALD) without the digits that the difference loses.
///
/// Members count by their mean weight; none may be silent, and one at least must have a say in every class.
pub fn mutual_information_row(members: &[MemberRow<'_>], out: &mut [f32]) {
    let width = out.len();
    let Some(first) = members.first() else { return out.fill(0.0) };
    let (size, classes) = (first.probabilities.len(), first.probabilities.len() / width);
    let total: f64 = members.iter().map(|m| f64::from(m.voice.weight())).sum();
    let whole = mean_of_whole(members, width);
    let (mut belief, mut mean) = (vec![0.0_f64; size], vec![0.0_f64; size]);
    for member in members {
        let weight = f64::from(member.voice.weight()) / total;
        set_belief(member, &whole, width, &mut belief);
        mean.iter_mut().zip(&belief).for_each(|(mean, p)| *mean += weight * p);
    }
    let mut information = vec![0.0_f64; width];
    for member in members {
        let weight = f64::from(member.voice.weight()) / total;
        set_belief(member, &whole, width, &mut belief);
        for (mean, belief) in mean.chunks_exact(width).zip(belief.chunks_exact(width)) {
            for ((mi, mean), p) in information.iter_mut().zip(mean).zip(belief).filter(|(_, p)| **p > 0.0) {
                *mi += weight * p * (p / mean).ln();
            }
        }
    }
    write(&information, classes, out);
}

/// The mean of the members that have a say in every class, `[C, W]`; empty where all have.
fn mean_of_whole(members: &[MemberRow<'_>], width: usize) -> Vec<f64> {
    if members.iter().all(|member| member.voice.is_whole()) {
        return Vec::new();
    }
    let mut mean = vec![0.0_f64; members[0].probabilities.len()];
    let whole = || members.iter().filter(|member| member.voice.is_whole());
    let total: f64 = whole().map(|member| f64::from(member.voice.weight())).sum();
    for member in whole() {
        let (weight, sums) = (f64::from(member.voice.weight()) / total, sums(member.probabilities, width));
        for (mean, line) in mean.chunks_exact_mut(width).zip(member.probabilities.chunks_exact(width)) {
            let line = mean.iter_mut().zip(line).zip(&sums);
            line.for_each(|((mean, p), sum)| *mean += weight * f64::from(*p) / sum);
        }
    }
    mean
}

/// Writes what a member believes of a row, `[C, W]`, whose sums are 1. `whole` is the mean of the members that have a say in every
/// class.
fn set_belief(member: &MemberRow<'_>, whole: &[f64], width: usize, belief: &mut [f64]) {
    let mut sums = sums(member.probabilities, width);
    if member.voice.leaves_rest() {
        sums.iter_mut().for_each(|sum| *sum = sum.max(1.0));
    }
    let lines = belief.chunks_exact_mut(width).zip(member.probabilities.chunks_exact(width));
    for (belief, line) in lines {
        let line = belief.iter_mut().zip(line).zip(&sums);
        line.for_each(|((belief, p), sum)| *belief = f64::from(*p) / sum);
    }
    if !member.voice.is_whole() {
        (0..width).for_each(|x| complete(member, whole, width, x, belief));
    }
}

/// Completes the belief of a pixel by classes in which the member has no say. Of those that it does not tell from its own, it has
/// what `whole` has; what is left to the others is divided among these as `whole` does.
fn complete(member: &MemberRow<'_>, whole: &[f64], width: usize, x: usize, belief: &mut [f64]) {
    let voice = member.voice;
    let classes = || (0..belief.len() / width).map(|class| (class, class * width + x));
    let untold: f64 = classes().filter(|(class, _)| !voice.tells(*class)).map(|(_, at)| whole[at]).sum();
    let own: f64 = classes().filter(|(class, _)| voice.has(*class)).map(|(_, at)| belief[at]).sum();
    let others = |class: usize| !voice.has(class) && voice.tells(class);
    let (count, sum) = classes()
        .filter(|(class, _)| others(*class))
        .fold((0.0, 0.0), |(count, sum), (_, at)| (count + 1.0, sum + whole[at]));
    let told = (1.0 - untold).max(0.0);
    // Without other classes its own have all of it.
    let scale = if count > 0.0 { told } else { told / if own > 0.0 { own } else { 1.0 } };
    let left = (1.0 - own).max(0.0) * told;
    for class in 0..belief.len() / width {
        let at = class * width + x;
        if voice.has(class) {
            belief[at] *= scale;
        } else if !voice.tells(class) {
            belief[at] = whole[at];
        } else {
            belief[at] = left * if sum > 0.0 { whole[at] / sum } else { 1.0 / count };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClassMap, OutputActivation, Rest, Voice};

    /// Of one pixel, nats; members of these probabilities and voices.
    fn nats(members: &[(&[f32], Voice)]) -> f64 {
        let rows: Vec<_> = members.iter().map(|(p, voice)| MemberRow { probabilities: p, voice }).collect();
        let mut out = [0.0];
        mutual_information_row(&rows, &mut out);
        f64::from(out[0]) * (members[0].0.len() as f64).ln()
    }

    fn all(weight: f32) -> Voice {
        Voice::of_all(vec![weight; 3])
    }

    /// A softmax over the first two of three classes.
    fn two(weight: f32) -> Voice {
        let map = ClassMap { channels: vec![vec![0], vec![1], vec![]], rest: Rest::None };
        Voice::new(vec![weight, weight, 0.0], &map, OutputActivation::Softmax, 2)
    }

    #[track_caller]
    fn near(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
    }

    #[test]
    fn golden_values_by_whatever_members_weigh() {
        let rows: [&[f32]; 3] = [&[0.9, 0.1], &[0.5, 0.5], &[0.1, 0.9]];
        let members = |w: f32| rows.map(|p| (p, Voice::of_all(vec![w; 2])));
        near(nats(&members(1.0)), 0.245_376);
        near(nats(&members(2.0)), 0.245_376);
        near(nats(&[members(2.0)[0].clone(), members(1.0)[0].clone()]), 0.0);
        let rows: [&[f32]; 2] = [&[0.7, 0.2, 0.1], &[0.6, 0.3, 0.1]];
        near(nats(&rows.map(|p| (p, all(1.0)))), 0.006_959);
    }

    #[test]
    fn who_has_no_say_in_a_class_does_not_rule_it_out() {
        let says: &[f32] = &[0.3, 0.3, 0.4];
        near(nats(&[(says, all(1.0)), (&[0.5, 0.5, 0.0], two(5.0))]), 0.0);
        near(nats(&[(&[0.0, 0.0, 1.0], all(1.0)), (&[0.9, 0.1, 0.0], two(1.0))]), 0.0);
        // .6 of the pixel is one of the two, of which .9 and .1 are its: (.54, .06, .4) beside (.3, .3, .4).
        let completed: &[f32] = &[0.54, 0.06, 0.4];
        let wanted = nats(&[(says, all(1.0)), (completed, all(5.0))]);
        let found = nats(&[(says, all(1.0)), (&[0.9, 0.1, 0.0], two(5.0))]);
        assert!(wanted > 0.01, "{wanted}");
        near(found, wanted);
        // Members that have all classes are as far apart as ever, whoever is with them.
        let apart = nats(&[(&[0.0, 0.0, 1.0], all(1.0)), (&[1.0, 0.0, 0.0], all(1.0))]);
        near(apart, std::f64::consts::LN_2);
    }

    #[test]
    fn what_is_left_of_1_counts_where_it_means_something() {
        let says: &[f32] = &[0.6, 0.2, 0.2];
        // One class by itself: .2 that it is this, so .8 that it is one of the others, which .6 and .2 divide.
        let map = ClassMap { channels: vec![vec![], vec![], vec![0]], rest: Rest::Dropped };
        let one = |weights| Voice::new(weights, &map, OutputActivation::Sigmoid, 1);
        near(nats(&[(says, all(1.0)), (&[0.0, 0.0, 0.2], one(vec![0.0, 0.0, 1.0]))]), 0.0);
        let found = nats(&[(says, all(1.0)), (&[0.0, 0.0, 0.8], one(vec![0.0, 0.0, 1.0]))]);
        near(found, nats(&[(says, all(1.0)), (&[0.15, 0.05, 0.8], all(1.0))]));
        // A weight of 0 in two classes: the same, of a member that speaks of all.
        let weighted = Voice::of_all(vec![0.0, 0.0, 1.0]);
        near(nats(&[(says, all(1.0)), (&[0.0, 0.2, 0.8], weighted)]), found);
        // Nobody else thinks it possible: it is spread evenly, and no number is lost.
        let sure: &[f32] = &[0.0, 0.0, 1.0];
        let found = nats(&[(sure, all(1.0)), (&[0.0, 0.0, 0.5], one(vec![0.0, 0.0, 1.0]))]);
        near(found, nats(&[(sure, all(1.0)), (&[0.25, 0.25, 0.5], all(1.0))]));
    }
}
