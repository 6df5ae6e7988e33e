//! A plant changes what it says, and that only.

use super::*;
use marquetry_geometry::Size;

const SIDE: usize = 64;
const CLASSES: u8 = 5;

/// Labels of four squares and a disc on a ground, each its own way.
fn truth() -> Truth {
    let mask = |seed: usize| {
        let class = |at: usize| {
            let (y, x) = (at / SIDE, at % SIDE);
            let square =
                |top: usize, left: usize| (top..top + 9).contains(&y) && (left..left + 9).contains(&x);
            let disc = (y as i64 - 45).pow(2) + (x as i64 - 20).pow(2) < 64;
            let ground = (seed % 2) as u8;
            match () {
                () if square(5 + seed, 6) => 2,
                () if square(8, 40 - seed) => 3,
                () if square(30 + seed, 45) => 4,
                () if disc => 2 + (seed % 3) as u8,
                () => ground,
            }
        };
        Mask { size: Size::square(SIDE as u32), pixels: (0..SIDE * SIDE).map(class).collect() }
    };
    Truth::new((0..12).map(mask).collect(), CLASSES)
}

/// The wrong label and the true one of each planted picture, and its place.
fn planted(noise: Noise) -> Vec<(usize, Mask, Mask)> {
    let truth = truth();
    let made = truth.plant(noise, 8, Dice::new(3)).unwrap();
    assert_eq!(made.len(), 8, "as many as were asked for");
    assert_eq!(made, truth.plant(noise, 8, Dice::new(3)).unwrap(), "a seed is always the same");
    assert_ne!(made, truth.plant(noise, 8, Dice::new(4)).unwrap());
    made.into_iter().map(|(at, wrong)| (at, wrong, truth.masks[at].clone())).collect()
}

fn changed(wrong: &Mask, right: &Mask) -> Vec<usize> {
    (0..right.pixels.len()).filter(|&at| wrong.pixels[at] != right.pixels[at]).collect()
}

#[test]
fn swapped_is_one_object_of_a_class_that_is_neither_its_own_nor_around_it() {
    for (_, wrong, right) in planted(Noise::Swapped) {
        let places = changed(&wrong, &right);
        let object = Object::all_of(&right).into_iter().find(|o| o.places == places).unwrap();
        let class = wrong.pixels[places[0]];
        assert!(places.iter().all(|&at| wrong.pixels[at] == class));
        assert_ne!(Some(class), object.surroundings(&right));
        assert!(class < CLASSES);
    }
}

#[test]
fn missing_is_one_object_of_the_class_around_it() {
    for (_, wrong, right) in planted(Noise::Missing) {
        let places = changed(&wrong, &right);
        let object = Object::all_of(&right).into_iter().find(|o| o.places == places).unwrap();
        assert!(places.iter().all(|&at| Some(wrong.pixels[at]) == object.surroundings(&right)));
    }
}

#[test]
fn invented_is_one_object_of_some_picture_where_it_is_not() {
    let all: Vec<Object> = truth().masks.iter().flat_map(Object::all_of).collect();
    for (_, wrong, right) in planted(Noise::Invented) {
        let places = changed(&wrong, &right);
        let class = wrong.pixels[places[0]];
        assert!(places.iter().all(|&at| wrong.pixels[at] == class));
        // Pixels that had the class already are of the object too; all of it lies in one component of the new label.
        let new = Object { class, places };
        let (size, points) = new.shape(SIDE);
        let fits = all.iter().filter(|object| object.class == class).any(|object| {
            let (whole, shape) = object.shape(SIDE);
            let room = |whole: u32, part: u32| {
                (0..=whole as usize).take_while(move |px| px + part as usize <= whole as usize)
            };
            let moves = room(whole.height, size.height)
                .flat_map(|dy| room(whole.width, size.width).map(move |dx| (dy, dx)));
            moves.into_iter().any(|(dy, dx)| points.iter().all(|(y, x)| shape.contains(&(y + dy, x + dx))))
                && new.places.len() as f64 >= (1.0 - MOST_THERE) * shape.len() as f64
        });
        assert!(fits, "{} px of class {class}", new.places.len());
    }
}

#[test]
fn shifted_is_the_whole_label_some_pixels_away() {
    for (_, wrong, right) in planted(Noise::Shifted) {
        let moves: Vec<_> = (-7..=7)
            .flat_map(|dy| (-7..=7).map(move |dx| (dy, dx)))
            .filter(|&(dy, dx)| shifted(&right, dy, dx) == wrong)
            .collect();
        let far = |(dy, dx): (i64, i64)| ((dy * dy + dx * dx) as f64).sqrt();
        assert!(moves.iter().any(|&by| (2.2..=7.8).contains(&far(by))), "{moves:?}");
    }
    let right = truth().masks.remove(0);
    let moved = shifted(&right, 2, -3);
    assert_eq!(moved.pixels[20 * SIDE + 20], right.pixels[18 * SIDE + 23], "down and left");
    assert_eq!(moved.pixels[SIDE - 1], right.pixels[SIDE - 1], "more of the same at the border");
}

#[test]
fn smoothed_changes_pixels_at_outlines_alone() {
    for (_, wrong, right) in planted(Noise::Smoothed) {
        let reach = 18;
        for at in changed(&wrong, &right) {
            let (y, x) = (at / SIDE, at % SIDE);
            let near = (y.saturating_sub(reach)..(y + reach + 1).min(SIDE)).flat_map(|y| {
                (x.saturating_sub(reach)..(x + reach + 1).min(SIDE)).map(move |x| y * SIDE + x)
            });
            assert!(near.into_iter().any(|other| right.pixels[other] == wrong.pixels[at]));
        }
        let ground = |mask: &Mask| mask.pixels.iter().filter(|&&class| class < 2).count();
        assert!(ground(&wrong) > ground(&right), "corners go, and nothing grows");
    }
}

#[test]
fn other_is_the_label_of_another_picture() {
    let all = truth().masks;
    for (at, wrong, _) in planted(Noise::Other) {
        assert!(all.iter().enumerate().any(|(other, mask)| other != at && *mask == wrong));
    }
}

#[test]
fn what_cannot_be_planted_is_an_error() {
    let empty = Mask { size: Size::square(SIDE as u32), pixels: vec![0; SIDE * SIDE] };
    let truth = Truth::new(vec![empty; 3], CLASSES);
    for noise in Noise::ALL {
        let error = truth.plant(noise, 1, Dice::new(1)).unwrap_err().to_string();
        assert!(error.starts_with("0 of 3 pictures") && error.contains(noise.name()), "{error}");
    }
}
