//! What `xtask/devtools/python/map_systems.py` compares with PROJ: definitions of reference systems (`list`), and places in them
//! (standard input: definition, x and y between tabs) as longitude and latitude.

#![expect(clippy::print_stdout, reason = "what it says is its output")]

use proj4rs::proj::Proj;
use std::io::BufRead;

fn main() {
    if std::env::args().nth(1).as_deref() == Some("list") {
        for known in (0..=u16::MAX).filter_map(crs_definitions::from_code) {
            println!("{}\t{}", known.code, known.proj4);
        }
        return;
    }
    let to = Proj::from_proj_string("+proj=longlat +datum=WGS84 +no_defs").expect("longitude and latitude");
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("text");
        let [definition, x, y] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let (x, y): (f64, f64) = (x.parse().expect("a number"), y.parse().expect("a number"));
        let place = Proj::from_proj_string(definition).ok().and_then(|from| {
            let mut point =
                if from.is_latlong() { (x.to_radians(), y.to_radians(), 0.0) } else { (x, y, 0.0) };
            proj4rs::transform::transform(&from, &to, &mut point).ok().map(|()| point)
        });
        let (lon, lat, _) = place.unwrap_or((f64::NAN, f64::NAN, 0.0));
        println!("{} {}", lon.to_degrees(), lat.to_degrees());
    }
}
