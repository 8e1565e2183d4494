//! Windows as part of a saved host: rules that have one, then the windows in the order in which they were opened.

use super::windows::Window;
use super::{Teller, Throttle, Told, slot_of};
use crate::facts::{Origin, OutputValue};
use crate::state::saved::{Error, Reader, Saved, Writer, saved};

saved!(Told {
    name,
    source,
    priority,
    tags,
    sha256,
    per,
    burst,
    every
});
saved!(Teller {
    host_id,
    host,
    boot_id,
    run,
    version,
    origin
});
saved!(Window {
    start,
    every,
    passed,
    suppressed,
    last,
    values
});

impl Saved for Origin {
    fn save(&self, out: &mut Writer) {
        i64::from(self.partition).save(out);
        self.offset.save(out);
    }

    fn load(input: &mut Reader) -> Result<Origin, Error> {
        let partition = i32::try_from(i64::load(input)?).map_err(|_| Error::Invalid("a partition too large"))?;
        let offset = i64::load(input)?;
        Ok(Origin { partition, offset })
    }
}

impl Saved for OutputValue {
    fn save(&self, out: &mut Writer) {
        match self {
            OutputValue::Null => out.number(0),
            OutputValue::Bool(flag) => {
                out.number(1);
                flag.save(out);
            }
            OutputValue::Int(number) => {
                out.number(2);
                number.save(out);
            }
            OutputValue::Double(number) => {
                out.number(3);
                number.to_bits().save(out);
            }
            OutputValue::Text(text) => {
                out.number(4);
                text.save(out);
            }
            OutputValue::List(items) => {
                out.number(5);
                items.save(out);
            }
        }
    }

    fn load(input: &mut Reader) -> Result<OutputValue, Error> {
        Ok(match input.number()? {
            0 => OutputValue::Null,
            1 => OutputValue::Bool(Saved::load(input)?),
            2 => OutputValue::Int(Saved::load(input)?),
            3 => OutputValue::Double(f64::from_bits(Saved::load(input)?)),
            4 => OutputValue::Text(Saved::load(input)?),
            5 => OutputValue::List(Saved::load(input)?),
            _ => return Err(Error::Invalid("an unknown value")),
        })
    }
}

impl Throttle {
    pub fn save(&self, out: &mut Writer) {
        let Throttle {
            limit: _,
            teller,
            rules,
            slots: _,
            bound: _,
            windows,
            evicted,
            key: _,
        } = self;
        teller.save(out);
        evicted.save(out);
        // Rules without a window are numbered anew when they have one.
        let mut numbers: Vec<Option<u64>> = vec![None; rules.len()];
        let mut told: Vec<&Told> = Vec::new();
        let mut rows = Vec::with_capacity(windows.len());
        for (key, window) in windows.iter() {
            let slot = slot_of(key) as usize;
            let number = *numbers[slot].get_or_insert_with(|| {
                told.push(&rules[slot]);
                told.len() as u64 - 1
            });
            rows.push((number, &key[4..], window));
        }
        out.number(told.len() as u64);
        told.into_iter().for_each(|rule| rule.save(out));
        out.number(rows.len() as u64);
        for (number, key, window) in rows {
            out.number(number);
            u8::save_all(key, out);
            window.save(out);
        }
    }

    /// At most `limit` windows stay; what is more goes when another is opened.
    pub fn load(input: &mut Reader, limit: usize) -> Result<Throttle, Error> {
        let mut throttle = Throttle::new(limit);
        throttle.teller = Saved::load(input)?;
        throttle.evicted = input.count()?;
        throttle.rules = Saved::load(input)?;
        for _ in 0..input.length()? {
            let rule = u32::load(input)?;
            let told = throttle.rules.get(rule as usize);
            let every = told.ok_or(Error::Invalid("a window of no rule"))?.every;
            let key = [&rule.to_le_bytes()[..], &u8::load_all(input)?].concat();
            let window = Window::load(input)?;
            if window.every != every || window.suppressed >> 62 != 0 || throttle.windows.has(&key) {
                return Err(Error::Invalid("a window that cannot be"));
            }
            throttle.windows.open(key, window);
        }
        Ok(throttle)
    }
}
