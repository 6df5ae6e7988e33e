//! What is computed: images, members, windows and views, all made in code.

use super::set_aside;
use super::venv::{Venv, said};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const CLASSES: u32 = 11;
const OVERLAP: f64 = 0.5;
/// Where Marquetry has its results: with ONNX Runtime alone, and with OpenVINO. The jobs lie beside them.
pub(super) const STORES: [&str; 2] = ["store", "store-openvino"];
const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const STD: [f64; 3] = [0.229, 0.224, 0.225];

/// A job that every program does.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) images: u32,
    /// Of images, px.
    side: u32,
    /// Of windows, px.
    window: u32,
    /// Whether all eight symmetries are shown, or the window alone.
    d4: bool,
    /// Of each member: channels of the first level, and how often they are doubled.
    members: &'static [(u32, u32)],
}

/// 30 thousand parameters, and half a million.
const LIGHT: (u32, u32) = (8, 2);
const HEAVY: (u32, u32) = (16, 3);

pub(super) const CASES: [Case; 3] = [
    Case { name: "light", images: 4, side: 1024, window: 256, d4: true, members: &[LIGHT] },
    Case { name: "heavy", images: 2, side: 1024, window: 256, d4: true, members: &[HEAVY] },
    Case { name: "small-images", images: 4000, side: 64, window: 64, d4: false, members: &[LIGHT] },
];

/// A case whose images and members are there.
pub(super) struct Made {
    pub(super) folder: PathBuf,
    /// What Python programs are told.
    pub(super) file: PathBuf,
    pub(super) images: u32,
    side: u32,
    pub(super) window: u32,
    pub(super) members: Vec<PathBuf>,
    /// Of each member.
    parameters: Vec<u64>,
    /// Windows × views × members × images.
    pub(super) forwards: u64,
}

impl Case {
    /// Makes everything anew in a folder.
    pub(super) fn make(&self, images: u32, folder: &Path, venv: &Venv) -> Result<Made> {
        set_aside(folder)?;
        fs::create_dir_all(folder)?;
        let file = folder.join("case.json");
        fs::write(&file, self.told(images, folder).to_string())?;
        for store in STORES {
            fs::write(folder.join(store).with_extension("yaml"), self.job(folder, store).to_string())?;
        }
        let told = said(venv.python_program("peers/make_case.py").arg(&file))?;
        let parameters = told["parameters"].as_array().context("no parameters")?;
        Ok(Made {
            images,
            side: self.side,
            window: self.window,
            members: (0..self.members.len()).map(|at| folder.join(format!("members/{at}.onnx"))).collect(),
            parameters: parameters.iter().filter_map(Value::as_u64).collect(),
            forwards: self.forwards(images),
            folder: folder.to_owned(),
            file,
        })
    }

    pub(super) fn forwards(&self, images: u32) -> u64 {
        let stride = (f64::from(self.window) * (1.0 - OVERLAP)).round() as u32;
        let along = u64::from((self.side - self.window).div_ceil(stride) + 1);
        let views = if self.d4 { 8 } else { 1 };
        along * along * views * self.members.len() as u64 * u64::from(images)
    }

    /// As `make_case.py` and the loops read it.
    fn told(&self, images: u32, folder: &Path) -> Value {
        let members: Vec<Value> =
            self.members.iter().map(|(base, depth)| json!({"base": base, "depth": depth})).collect();
        json!({
            "folder": folder, "images": images, "side": self.side, "members": members, "classes": CLASSES,
            "window": self.window, "overlap": OVERLAP, "views": if self.d4 { "d4" } else { "none" },
            "mean": MEAN, "std": STD,
        })
    }

    /// The same as a job of Marquetry, which has its results in `store`.
    fn job(&self, folder: &Path, store: &str) -> Value {
        let classes: Vec<String> = (0..CLASSES).map(|class| format!("class{class}")).collect();
        let views = if self.d4 { json!("d4") } else { json!([]) };
        json!({
            "version": 1, "name": self.name, "images": folder.join("images"), "classes": classes,
            "defaults": {"input": {"mean": MEAN, "std": STD}, "window": {"size": self.window, "overlap": OVERLAP}},
            "members": [{"onnx": folder.join("members/*.onnx")}], "tta": {"views": views},
            "outputs": [{"masks": {"png": "grey"}}], "store": folder.join(store),
        })
    }
}

impl Made {
    pub(super) fn pixels(&self) -> u64 {
        u64::from(self.images) * u64::from(self.side).pow(2)
    }

    /// A sentence about it.
    pub(super) fn about(&self, case: &Case) -> String {
        let parameters: Vec<String> = self.parameters.iter().map(|n| thousands(*n)).collect();
        let windows = if case.window == case.side {
            "one window each".to_owned()
        } else {
            format!("windows of {} px with overlap {OVERLAP}", case.window)
        };
        format!(
            "{} of {} × {} px, {windows}, {}, {CLASSES} classes, {} of {} parameters: {} forwards",
            plural(self.images, "image"),
            thousands(case.side.into()),
            thousands(case.side.into()),
            if case.d4 { "eight views" } else { "one view" },
            plural(self.members.len() as u32, "member"),
            parameters.join(" and "),
            thousands(self.forwards)
        )
    }
}

fn plural(count: u32, word: &str) -> String {
    format!("{} {word}{}", thousands(count.into()), if count == 1 { "" } else { "s" })
}

/// Digits in threes.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
