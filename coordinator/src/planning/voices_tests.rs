use super::*;
use crate::test_plans::{image, inference, member};
use marquetry_ensemble::{ClassMap, OutputActivation, Rest, ScoreSpace};
use marquetry_job::{Inference, Member, Merge};

fn spec(outputs: &str) -> JobSpec {
    let text = format!(
        "version: 1\nimages: i\nclasses: [a, b, c]\nmembers: [{{onnx: m.onnx}}]\ntiles: {{per: member}}\noutputs: [{outputs}]\n"
    );
    JobSpec::parse(&text).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Three classes, and members m0, m1, … of these weights; a class of weight 0 is one of which its model says nothing.
fn plan(weights: &[[f32; 3]], rest: Rest, applied: OutputActivation) -> Plan {
    let own = |class: usize, weight: f32| if weight > 0.0 { vec![class as u16] } else { Vec::new() };
    let members = weights.iter().enumerate().map(|(n, weights)| {
        let channels = weights.iter().enumerate().map(|(class, weight)| own(class, *weight)).collect();
        vec![Member { classes: ClassMap { channels, rest }, applied, ..member(&format!("m{n}")) }]
    });
    let classes = ["a", "b", "c"].map(str::to_owned).into();
    let inference = Inference { classes, ..inference(members.collect()) };
    let weights = weights.iter().map(|weights| weights.to_vec()).collect();
    Plan::new("j", inference, Merge { space: ScoreSpace::Probabilities, weights })
}

const MEASURES: &str = "{masks: png}, {uncertainty: [entropy, mutual_information]}";

fn told(outputs: &str, weights: &[[f32; 3]], images: &[PlannedImage]) -> Result<Vec<String>, String> {
    let plan = plan(weights, Rest::None, OutputActivation::Softmax);
    check(&spec(outputs), &plan, images).map_err(|error| error.to_string())
}

#[test]
fn members_that_cannot_be_compared_have_no_mutual_information() {
    let images = [image("x")];
    assert_eq!(told(MEASURES, &[[1.0; 3], [2.0, 1.0, 0.0]], &images), Ok(vec![]));
    let none = told(MEASURES, &[[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]], &images).unwrap_err();
    assert!(none.starts_with("outputs[1]: mutual_information is how far members are apart"), "{none}");
    assert!(none.contains("of the 2 members that score image x none has a say in all of them"), "{none}");
    let one = told("{ranking: mutual_information}", &[[1.0; 3], [0.0, 1.0, 0.0], [0.0; 3]], &images);
    let one = one.unwrap_err();
    assert!(one.contains("of the 2 members") && one.contains("one alone has a say in more than"), "{one}");
    // Who may say that a pixel is none of its classes says something with one.
    let single = plan(&[[1.0; 3], [0.0, 1.0, 0.0]], Rest::Dropped, OutputActivation::Sigmoid);
    assert!(check(&spec(MEASURES), &single, &images).is_ok());
    let entropy = "{uncertainty: [entropy, vote_share]}";
    assert!(told(entropy, &[[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]], &images).is_ok());
    // Each image has members of its own.
    let apart = [image("x").scored_by(vec![0, 1]), image("y").scored_by(vec![2])];
    let weights = [[1.0; 3], [1.0; 3], [1.0, 1.0, 0.0]];
    let words = "1 image (y) is scored by one member alone, which agrees with itself: agreement, vote_share and \
                 mutual_information say nothing there";
    assert_eq!(told(MEASURES, &weights, &apart), Ok(vec![words.to_owned()]));
}

#[test]
fn who_alone_has_a_say_is_told() {
    let images = [image("x"), image("y")];
    let [both, second] = [[1.0; 3], [1.0, 1.0, 0.0]];
    let said = told("{pseudo_labels: png, agreement: 0.5}", &[both, second], &images).unwrap();
    assert!(said.len() == 1 && said[0].starts_with("of class `c` member m0 alone has a say"), "{said:?}");
    assert_eq!(told("{pseudo_labels: png}", &[both, second], &images), Ok(vec![]), "nobody is asked");
    // A weight of 0 is no say, so one is left.
    let said = told("{pseudo_labels: png}", &[both, [0.0; 3]], &images).unwrap();
    assert!(said.len() == 1 && said[0].starts_with("2 images (x, …) are scored by one member"), "{said:?}");
    assert!(
        said[0].ends_with("agrees with itself: the reliability of its pseudo-labels is empty"),
        "{said:?}"
    );
    assert_eq!(told("{masks: png}", &[both], &images), Ok(vec![]));
}
