//! Statistics of batch normalisation, measured anew on the images of a job.

use crate::exit::Fatal;
use crate::new_model::{Bench, Windows, fatal};
use crate::say;
use marquetry_failure::{Classify, counted};
use marquetry_job::IoContract;
use marquetry_model::{Activations, ModelError, Runtime};
use marquetry_onnx::{BatchNorm, Model, Moments, batch_norms, giving, with_numbers};
use std::collections::BTreeMap;

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) windows: usize,
    pub(crate) images: usize,
    pub(crate) layers: usize,
    /// Pixels of each channel of the layer that saw fewest.
    pub(crate) pixels: u64,
    /// How far a mean moved at most, in standard deviations.
    pub(crate) moved: f64,
}

/// `onnx` with statistics of these windows: layer by layer, in the order in which they hang on each other, since what one
/// layer gives hangs on the statistics of those before it. Layers of one depth are measured together.
pub(crate) fn measured(
    bench: &Bench<'_>,
    windows: &Windows,
    onnx: &[u8],
) -> Result<(Vec<u8>, Measured), Fatal> {
    let layers = layers(onnx)?;
    let depths = layers.iter().map(|layer| layer.depth).max().map_or(0, |depth| depth + 1);
    let (mut onnx, mut pixels, mut moved) = (onnx.to_vec(), u64::MAX, 0.0_f64);
    for depth in 0..depths {
        let level: Vec<&BatchNorm> = layers.iter().filter(|layer| layer.depth == depth).collect();
        let found = of_level(bench.runtime, &onnx, &level, windows)?;
        let mut numbers = BTreeMap::new();
        for (layer, channels) in level.iter().zip(&found) {
            pixels = pixels.min(channels.iter().map(|channel| channel.count).min().unwrap_or(0));
            let before = marquetry_onnx::numbers_at(&onnx, layer.mean()).map_err(|error| fatal(&error))?;
            for (channel, before) in channels.iter().zip(before) {
                let sigma = channel.variance().sqrt();
                if sigma > 0.0 {
                    moved = moved.max((channel.mean - before).abs() / sigma);
                }
            }
            numbers.insert(layer.mean(), channels.iter().map(|channel| channel.mean).collect());
            numbers.insert(layer.variance(), channels.iter().map(|c| c.variance()).collect());
        }
        onnx = with_numbers(&onnx, &numbers).map_err(|error| fatal(&error))?;
    }
    let (windows, images) = (windows.len(), windows.images());
    Ok((onnx, Measured { windows, images, layers: layers.len(), pixels, moved }))
}

/// Of each layer of one depth and each channel the moments of what it normalises.
fn of_level(
    runtime: &Runtime,
    onnx: &[u8],
    level: &[&BatchNorm],
    windows: &Windows,
) -> Result<Vec<Vec<Moments>>, Fatal> {
    let mut names: Vec<&str> = level.iter().map(|layer| layer.input.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let tapped = giving(onnx, &names).map_err(|error| fatal(&error))?;
    let found = windows.each(
        "measuring BatchNorm",
        usize::MAX,
        |contract, options| Activations::open(runtime, &tapped, contract, &names, options),
        |session, contract, window| moments(session, contract, window, names.len()),
    )?;
    let (mut sums, mut failures) = (vec![Vec::new(); names.len()], Vec::new());
    for (window, moments) in found.into_iter().enumerate() {
        match moments {
            Ok(moments) => {
                for (sum, moments) in sums.iter_mut().zip(moments) {
                    sum.resize(moments.len(), Moments::default());
                    sum.iter_mut().zip(moments).for_each(|(sum, more)| *sum = sum.joined(more));
                }
            }
            Err(failure) => failures.push((windows.image(window), failure)),
        }
    }
    if let Some((id, failure)) = failures.first() {
        let reason = format!("image {id}: {}", failure.reason);
        if sums.iter().any(Vec::is_empty) {
            return Err(Fatal::new(
                failure.class().into(),
                format!("BatchNorm cannot be measured: {reason}"),
            ));
        }
        say::note(&format!("warning: {} passed over, {reason}", counted(failures.len(), "window")));
    }
    let place = |layer: &&BatchNorm| names.iter().position(|name| *name == layer.input).unwrap_or(0);
    Ok(level.iter().map(|layer| sums[place(layer)].clone()).collect())
}

/// Of each value and each channel the moments in one window.
fn moments(
    session: &mut Activations,
    contract: &IoContract,
    window: &[f32],
    values: usize,
) -> Result<Vec<Vec<Moments>>, ModelError> {
    let mut found = vec![Vec::new(); values];
    // A model of a fixed batch sees the window so many times, and the first counts.
    session.run(&window.repeat(contract.batch as usize), |place, output| {
        let channels = output.dims.get(1).copied().unwrap_or(1) as usize;
        let area = output.dims.iter().skip(2).product::<u64>() as usize;
        found[place] = output.numbers.chunks(area.max(1)).take(channels).map(Moments::of).collect();
    })?;
    Ok(found)
}

fn layers(onnx: &[u8]) -> Result<Vec<BatchNorm>, Fatal> {
    Model::read(onnx).map(|model| batch_norms(&model.graph)).map_err(|error| fatal(&error))
}
