//! Parameters as Python values: for tests, tools and what a collector tells about its host; never per kernel event.
//!
//! Numbers are int, text is str (surrogate escapes for what is not UTF-8; bytes are taken, too), buffers are bytes. An address
//! is (family, ip, port), (1, path) or (family,); a tuple (family, sip, sport, dip, dport), (1, source, destination, path) or
//! (family,); a descriptor list [(fd, events), …]; a dynamic value (row of its list of types, value). `bytes` are taken as they
//! are for every type but text, and returned for whatever does not have the layout of its type.

use std::{
    ffi::{OsStr, OsString},
    net::IpAddr,
    os::unix::ffi::{OsStrExt, OsStringExt},
};

use pyo3::{
    IntoPyObjectExt,
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyList, PyTuple},
};

use crate::table::{Coding, DynType, ParamInfo};

const AF_UNIX: u8 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

pub fn param_from_python(info: &ParamInfo, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    encode(info.kind.coding(), info.dynamic.unwrap_or_default(), value)
}

fn encode(coding: Coding, types: &[DynType], value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if value.is_none() {
        return Ok(Vec::new());
    }
    if let Ok(bytes) = value.cast::<PyBytes>()
        && coding != Coding::Text
    {
        return Ok(bytes.as_bytes().to_vec());
    }
    match coding {
        Coding::Int { width, signed } => encode_int(value, width, signed),
        Coding::Text => Ok([&text(value)?[..], &[0]].concat()),
        Coding::Bytes => encode_list(value),
        Coding::Sockaddr => encode_sockaddr(value),
        Coding::Socktuple => encode_socktuple(value),
        Coding::Fdlist => encode_fdlist(value),
        Coding::Dyn => {
            let (row, value): (u8, Bound<'_, PyAny>) = value.extract()?;
            let dynamic = types
                .get(usize::from(row))
                .ok_or_else(|| PyValueError::new_err("no such row in its list of types"))?;
            Ok([&[row], &encode(dynamic.kind.coding(), &[], &value)?[..]].concat())
        }
    }
}

fn encode_int(value: &Bound<'_, PyAny>, width: usize, signed: bool) -> PyResult<Vec<u8>> {
    let number: i128 = value.extract()?;
    let bits = 8 * width as u32;
    let (least, most) = if signed {
        (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
    } else {
        (0, (1i128 << bits) - 1)
    };
    if number < least || number > most {
        return Err(PyValueError::new_err(format!(
            "{number} is not between {least} and {most}"
        )));
    }
    Ok(number.to_le_bytes()[..width].to_vec())
}

fn text(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    match value.cast::<PyBytes>() {
        Ok(bytes) => Ok(bytes.as_bytes().to_vec()),
        Err(_) => Ok(value.extract::<OsString>()?.into_vec()),
    }
}

/// A list of texts: each with its NUL, as arguments and environments are.
fn encode_list(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let mut out = Vec::new();
    for item in value.try_iter()? {
        out.extend(text(&item?)?);
        out.push(0);
    }
    Ok(out)
}

/// Bytes of an address of this family, given as text or packed.
fn address(family: u8, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let bytes = match value.cast::<PyBytes>() {
        Ok(bytes) => bytes.as_bytes().to_vec(),
        Err(_) => match value
            .str()?
            .to_string()
            .parse::<IpAddr>()
            .map_err(|e| PyValueError::new_err(e.to_string()))?
        {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        },
    };
    let length = if family == AF_INET { 4 } else { 16 };
    if bytes.len() == length {
        Ok(bytes)
    } else {
        Err(PyValueError::new_err("the address is not of its family"))
    }
}

fn endpoint(out: &mut Vec<u8>, family: u8, parts: &[Bound<'_, PyAny>]) -> PyResult<()> {
    out.extend(address(family, &parts[0])?);
    out.extend(parts[1].extract::<u16>()?.to_le_bytes());
    Ok(())
}

fn encode_sockaddr(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let parts: Vec<Bound<'_, PyAny>> = value.extract()?;
    let family: u8 = parts.first().map_or(Ok(0), |part| part.extract())?;
    let mut out = vec![family];
    match (family, &parts[1.min(parts.len())..]) {
        (AF_UNIX, [path]) => out.extend([&text(path)?[..], &[0]].concat()),
        (AF_INET | AF_INET6, [_, _]) => endpoint(&mut out, family, &parts[1..])?,
        (_, []) if !parts.is_empty() => {}
        _ => {
            return Err(PyTypeError::new_err(
                "an address is (family, ip, port), (1, path) or (family,)",
            ));
        }
    }
    Ok(out)
}

fn encode_socktuple(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let parts: Vec<Bound<'_, PyAny>> = value.extract()?;
    let family: u8 = parts.first().map_or(Ok(0), |part| part.extract())?;
    let mut out = vec![family];
    match (family, &parts[1.min(parts.len())..]) {
        (AF_UNIX, [source, destination, path]) => {
            out.extend(source.extract::<u64>()?.to_le_bytes());
            out.extend(destination.extract::<u64>()?.to_le_bytes());
            out.extend([&text(path)?[..], &[0]].concat());
        }
        (AF_INET | AF_INET6, [_, _, _, _]) => {
            endpoint(&mut out, family, &parts[1..3])?;
            endpoint(&mut out, family, &parts[3..5])?;
        }
        (_, []) if !parts.is_empty() => {}
        _ => {
            let shapes = "a tuple is (family, sip, sport, dip, dport), (1, source, destination, path) or (family,)";
            return Err(PyTypeError::new_err(shapes));
        }
    }
    Ok(out)
}

fn encode_fdlist(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let items: Vec<(i64, i16)> = value.extract()?;
    let count = u16::try_from(items.len()).map_err(|_| PyValueError::new_err("more than 65535 descriptors"))?;
    let mut out = count.to_le_bytes().to_vec();
    for (fd, events) in items {
        out.extend(fd.to_le_bytes());
        out.extend(events.to_le_bytes());
    }
    Ok(out)
}

pub fn param_to_python<'py>(py: Python<'py>, info: &ParamInfo, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    if bytes.is_empty() {
        return Ok(py.None().into_bound(py));
    }
    match decode(py, info.kind.coding(), info.dynamic.unwrap_or_default(), bytes)? {
        Some(value) => Ok(value),
        None => Ok(PyBytes::new(py, bytes).into_any()),
    }
}

/// `None` where the bytes do not have the layout of the type.
fn decode<'py>(
    py: Python<'py>,
    coding: Coding,
    types: &[DynType],
    bytes: &[u8],
) -> PyResult<Option<Bound<'py, PyAny>>> {
    Ok(match coding {
        Coding::Int { width, signed } if width == bytes.len() => Some(int(bytes, signed).into_bound_py_any(py)?),
        Coding::Text => Some(decoded_text(py, bytes.strip_suffix(&[0]).unwrap_or(bytes))?),
        Coding::Sockaddr => decode_sockaddr(py, bytes)?,
        Coding::Socktuple => decode_socktuple(py, bytes)?,
        Coding::Fdlist => decode_fdlist(py, bytes)?,
        Coding::Dyn => match types.get(usize::from(bytes[0])) {
            None => None,
            Some(dynamic) => {
                let value = match &bytes[1..] {
                    [] => Some(py.None().into_bound(py)),
                    value if dynamic.kind.coding() == Coding::Bytes => Some(PyBytes::new(py, value).into_any()),
                    value => decode(py, dynamic.kind.coding(), &[], value)?,
                };
                value.map(|value| (bytes[0], value).into_bound_py_any(py)).transpose()?
            }
        },
        Coding::Int { .. } | Coding::Bytes => None,
    })
}

fn int(bytes: &[u8], signed: bool) -> i128 {
    let negative = signed && bytes[bytes.len() - 1] >= 0x80;
    let mut wide = [if negative { 0xff } else { 0 }; 16];
    wide[..bytes.len()].copy_from_slice(bytes);
    i128::from_le_bytes(wide)
}

fn decoded_text<'py>(py: Python<'py>, text: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    OsStr::from_bytes(text).into_bound_py_any(py)
}

fn ip_text(bytes: &[u8]) -> String {
    match <[u8; 4]>::try_from(bytes) {
        Ok(v4) => IpAddr::from(v4).to_string(),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(bytes).unwrap_or_default()).to_string(),
    }
}

/// Text of the address and number of the port that `bytes` consist of.
fn endpoint_of(bytes: &[u8]) -> (String, u16) {
    let (ip, port) = bytes.split_at(bytes.len() - 2);
    (ip_text(ip), u16::from_le_bytes([port[0], port[1]]))
}

fn decode_sockaddr<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Option<Bound<'py, PyAny>>> {
    let rest = &bytes[1..];
    Ok(match (bytes[0], rest.len()) {
        (AF_INET, 6) | (AF_INET6, 18) => {
            let (ip, port) = endpoint_of(rest);
            Some((bytes[0], ip, port).into_bound_py_any(py)?)
        }
        (AF_UNIX, 1..) if rest.last() == Some(&0) => {
            Some((AF_UNIX, decoded_text(py, &rest[..rest.len() - 1])?).into_bound_py_any(py)?)
        }
        (AF_INET | AF_INET6 | AF_UNIX, _) => None,
        (family, 0) => Some((family,).into_bound_py_any(py)?),
        _ => None,
    })
}

fn decode_socktuple<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Option<Bound<'py, PyAny>>> {
    let rest = &bytes[1..];
    Ok(match (bytes[0], rest.len()) {
        (AF_INET, 12) | (AF_INET6, 36) => {
            let (source, destination) = rest.split_at(rest.len() / 2);
            let ((sip, sport), (dip, dport)) = (endpoint_of(source), endpoint_of(destination));
            Some((bytes[0], sip, sport, dip, dport).into_bound_py_any(py)?)
        }
        (AF_UNIX, 17..) if rest.last() == Some(&0) => {
            let path = decoded_text(py, &rest[16..rest.len() - 1])?;
            Some((AF_UNIX, int(&rest[..8], false), int(&rest[8..16], false), path).into_bound_py_any(py)?)
        }
        (AF_INET | AF_INET6 | AF_UNIX, _) => None,
        (family, 0) => Some(PyTuple::new(py, [family])?.into_any()),
        _ => None,
    })
}

fn decode_fdlist<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some((count, items)) = bytes.split_first_chunk::<2>() else {
        return Ok(None);
    };
    let (items, rest) = items.as_chunks::<10>();
    if !rest.is_empty() || items.len() != usize::from(u16::from_le_bytes(*count)) {
        return Ok(None);
    }
    let list = PyList::empty(py);
    for item in items {
        list.append((int(&item[..8], true), int(&item[8..], true)))?;
    }
    Ok(Some(list.into_any()))
}
