"""What gopy alone does, its modules do with pybuf too: each behaviour, on both."""

from __future__ import annotations

import ast
import re
from typing import Any

import numpy as np
import pytest

#: Code whose last line is the result. `vecs`, `go` and `more` are modules of gopy's.
SAME = """
go.Slice_float64()
go.Slice_float64([1, 2, 3])
go.Slice_float64((1.5, 2.5))
go.Slice_float64(range(4))
go.Slice_float64(x for x in [1.0, 2.0])
go.Slice_float64({1.0: "a"})
go.Slice_float64(np.arange(3.0))
go.Slice_float64(np.arange(3))
go.Slice_float64(np.arange(6.0)[::2])
go.Slice_float64(np.arange(6.0)[::-1])
go.Slice_float64(np.zeros((2, 2)))
go.Slice_float64(np.float64(3))
go.Slice_float64(5)
go.Slice_float64("abc")
go.Slice_float64(None)
go.Slice_float64(["a"])
go.Slice_float64([1.0, "a"])
go.Slice_float64([1], [2])
go.Slice_float64(a=3)
go.Slice_float64([None])
go.Slice_float64(memoryview(b"abc"))
go.Slice_float32([0.1, 1e300])
go.Slice_float32(np.array([0.1, 0.2]))
go.Slice_int([1, 2, 3])
go.Slice_int(range(5))
go.Slice_int(np.arange(3, dtype="i4"))
go.Slice_int(np.arange(3, dtype="u1"))
go.Slice_int(np.arange(3.0))
go.Slice_int([1.5])
go.Slice_int([True, False])
go.Slice_int([2**63])
go.Slice_int([-(2**63)])
go.Slice_int(np.array([True, False]))
go.Slice_int32([2**31])
go.Slice_int32(np.array([2**31]))
go.Slice_int8([300])
go.Slice_int8(np.array([300]))
go.Slice_uint8([256])
go.Slice_uint8([-1])
go.Slice_uint([2**64 - 1])
go.Slice_uint64([-1])
go.Slice_uint16(np.arange(3, dtype="u2"))
go.Slice_byte(b"abc")
go.Slice_byte(bytearray(b"abc"))
go.Slice_byte([1, 2, 255])
go.Slice_byte([256])
go.Slice_byte("abc")
go.Slice_byte.from_bytes(b"abc")
go.Slice_byte.from_bytes(b"a" * 1000)[999]
bytes(go.Slice_byte([1, 2, 3]))
bytes(vecs.Bytes(300))
bytes(vecs.Uint8s(3))
go.Slice_bool([True, False, 1, 0])
go.Slice_bool([2])
go.Slice_bool(np.array([True, False]))
go.Slice_string(["a", "b"])
go.Slice_string("abc")
go.Slice_string([1])
go.Slice_string(np.array(["a", "b"]))
go.Slice_rune([97, 98])
vecs.Celsius([1, 2, 3])
vecs.Celsius(np.arange(3.0))
vecs.Celsius([1, 3]).Mean()
vecs.Temperatures(3)
vecs.Temperatures(3).Warmer(vecs.Temperatures(3))
vecs.Weeks(2, 3)
vecs.Weeks(2, 3)[1].Mean()
len(vecs.Weeks(2, 3)[0])
vecs.Direction()
vecs.Triple()
vecs.Triple()[1]
vecs.Triple()[-1]
vecs.Triple()[0:2]
vecs.Triple()[5]
t = vecs.Triple(); t[1] = 9.0
t = vecs.Triple(); t[1] = 9.0; t
vecs.SumTriple(vecs.Triple())
vecs.Small()
vecs.Small()[1][2]
vecs.Triples(2)
vecs.Triples(2)[1]
len(vecs.Float64s(5))
vecs.Float64s(5)[0]
vecs.Float64s(5)[4]
vecs.Float64s(5)[-1]
vecs.Float64s(5)[-5]
vecs.Float64s(5)[5]
vecs.Float64s(5)[-6]
vecs.Float64s(5)["a"]
vecs.Float64s(5)[1.0]
vecs.Float64s(5)[None]
vecs.Float64s(5)[np.int64(2)]
vecs.Float64s(5)[True]
vecs.Float64s(5)[:]
vecs.Float64s(5)[1:3]
vecs.Float64s(5)[2:]
vecs.Float64s(5)[:2]
vecs.Float64s(5)[::2]
vecs.Float64s(5)[::-1]
vecs.Float64s(5)[4:1:-2]
vecs.Float64s(5)[1:3:1]
type(vecs.Float64s(5)[1:3]).__name__
s = vecs.Float64s(5); s[1:3][0] = 9.0; s
s = vecs.Float64s(5); s[1] = 7; s
s = vecs.Float64s(5); s[-1] = 7; s
s = vecs.Float64s(5); s[5] = 7
s = vecs.Float64s(5); s[1] = "a"
s = vecs.Float64s(5); s[1:2] = [1]
s = vecs.Float64s(5); del s[1]
s = vecs.Float64s(3); s.append(4); s
s = vecs.Float64s(3); s.append("a")
s = vecs.Float64s(3); s.append(None)
s = vecs.Float64s(3); s += [4, 5]; s
s = vecs.Float64s(3); s += np.arange(2.0); s
s = vecs.Float64s(3); s += vecs.Float64s(2); s
s = vecs.Float64s(3); s += 5
s = vecs.Float64s(3); s += "ab"
vecs.Float64s(3) + [1]
vecs.Float64s(3) * 2
s = vecs.Float64s(3); s.copy([9, 8]); s
s = vecs.Float64s(3); s.copy(np.array([9.0, 8])); s
s = vecs.Float64s(3); s.copy(vecs.Float64s(9)); s
s = vecs.Float64s(3); s.copy()
s = go.Slice_int(); s += range(200); str(s)
s = go.Slice_int(range(3)); str(s)
repr(vecs.Float64s(3))
str(vecs.Float64s(3))
f"{vecs.Float64s(3)}"
str(vecs.Float64s(119))
str(vecs.Float64s(120))
repr(vecs.Points(2))
str(vecs.Points(2))
str(vecs.NewAcc(2))
repr(vecs.NewAcc(2))
str(vecs.NewDerived(2))
repr(vecs.NewDerived(2))
str(vecs.Trades(2)[1])
repr(vecs.Cells(2)[1])
str(vecs.Series())
repr(vecs.Series())
[n for n in dir(vecs.Float64s(3)) if not n.startswith('__')]
[n for n in dir(vecs.NewAcc(3)) if not n.startswith('__')]
[n for n in dir(vecs.Derived) if not n.startswith('__')]
sorted(n for n in vars(vecs.Float64s(3)) if not n.startswith('__'))
sorted(n for n in vars(vecs.NewAcc(3)) if not n.startswith('__'))
list(vecs.Float64s(3))
tuple(vecs.Bools(3))
set(vecs.Ints(3))
sorted(vecs.Ints(3), reverse=True)
sum(vecs.Ints(5))
max(vecs.Float64s(5))
3 in vecs.Ints(5)
9 in vecs.Ints(5)
a, b, c = vecs.Ints(3); [a, b, c]
[*vecs.Ints(3)]
list(zip(vecs.Ints(3), vecs.Float64s(3)))
list(enumerate(vecs.Strings(3)))
list(map(str, vecs.Ints(3)))
i = iter(vecs.Ints(2)); [next(i), next(i), next(i, None)]
s = vecs.Ints(2); iter(s) is s
list(reversed(vecs.Ints(3)))
bool(vecs.Ints(0))
bool(vecs.Ints(1))
s = vecs.Ints(3); s == s
vecs.Ints(3) == vecs.Ints(3)
vecs.Ints(3) == [0, 1, 2]
vecs.Ints(3) < vecs.Ints(3)
s = vecs.Ints(3); hash(s) == hash(s)
s = vecs.Ints(3); s.name = "x"; s.name
s = vecs.Ints(3); isinstance(s.handle, int)
s = vecs.Ints(3); go.Slice_int(s)
s = vecs.Ints(3); t = go.Slice_int(s); t[0] = 9; s
s = vecs.Ints(3); t = go.Slice_int(handle=s.handle); t[0] = 9; s
isinstance(vecs.Ints(3), go.Slice_int)
isinstance(vecs.Ints(3), go.GoClass)
isinstance(vecs.Ints(3), go.Slice_float64)
isinstance(vecs.NewDerived(3), vecs.Base)
issubclass(vecs.Derived, vecs.Base)
[*dict.fromkeys(c.__name__ for c in vecs.Derived.__mro__ if "gopy_" in c.__module__)]
type(vecs.Ints(3)).__name__
type(vecs.Ints(3)).__module__
type(vecs.NewAcc(3)).__qualname__
vecs.Acc.__doc__
vecs.SumFloat64s.__doc__
vecs.SumFloat64s.__name__
vecs.Acc.Total.__doc__
vecs.Acc()
vecs.Acc("name")
vecs.Acc("name", vecs.Float64s(2))
vecs.Acc(Count=3, Name="x")
vecs.Acc(Data=vecs.Float64s(2)).Sum()
vecs.Acc(Name=5)
vecs.Acc(Nonsense=5)
vecs.Acc(vecs.NewAcc(3))
a = vecs.Acc(); a.Name = "new"; a.Name
a = vecs.Acc(); a.Count = 5; a.Count
a = vecs.Acc(); a.Count = "5"
a = vecs.Acc(); a.Data = vecs.Float64s(3); a.Sum()
a = vecs.Acc(); a.Fixed[1]
a = vecs.Acc(); a.Fixed[1] = 5.0; a.Fixed
a = vecs.Acc(); a.Nothing
a = vecs.NewAcc(3); a.Data.append(5.0); a.Data
a = vecs.NewAcc(3); a.Data[1] = 5.0; a.Sum()
a = vecs.NewAcc(3); a.Add(vecs.Float64s(2)); a.Data
vecs.NewAcc(3).Total(2.0, vecs.Float64s(3))
vecs.NewAcc(3).Total(x=vecs.Float64s(3), scale=1)
vecs.NewAcc(3).Total("a", vecs.Float64s(3))
vecs.NewAcc(3).Total(2.0)
vecs.NewAcc(3).Dot(vecs.Float64s(3), vecs.Float64s(3))
vecs.NewAcc(3).Dot(vecs.Float64s(3), vecs.Float64s(4))
vecs.Point(1.0, 2.0)
vecs.Point(Y=2).Norm()
p = vecs.Points(3); p[1].X = 9.0; p[1].X
p = vecs.Points(3); p.append(vecs.Point(7, 8)); p[3].Y
p = vecs.Points(3); p[0] = vecs.Point(7, 8); p[0].Y
vecs.Slice_vecs_Point([vecs.Point(1, 2)])
vecs.SumPoints(vecs.Points(3))
vecs.PointPointers(2)[1].X
vecs.PointPointers(2)
vecs.Tags(2)
vecs.Tags(2)[1].Name
vecs.Middle(vecs.Segments(2)[1])
vecs.Segments(2)[1].To.Y
vecs.Cells(3)[2].Values[1][2]
vecs.NewDerived(3).Total()
vecs.NewDerived(3).Both()
vecs.NewDerived(3).ID
vecs.Derived().Both()
vecs.AnySummer(3).Sum()
vecs.SumOf(vecs.NewAcc(3))
vecs.SumOf(vecs.NewKeeper(vecs.Float64s(3)))
vecs.NewKeeper(vecs.Float64s(3)).Sum()
vecs.NewKeeper(vecs.Float64s(3)).Get()
vecs.NewKeeper(vecs.Float64s(3)).Keep(vecs.Float64s(2))
vecs.Describe("x")
vecs.Describe(3)
vecs.Strings(3)
vecs.Join(vecs.Strings(3))
vecs.Join(go.Slice_string(["x", "y"]))
vecs.Upper("straße")
vecs.Upper(3)
vecs.Ages()["ann"]
len(vecs.Ages())
sorted(vecs.Ages().keys())
sorted(vecs.Ages().items())
"ann" in vecs.Ages()
"carl" in vecs.Ages()
vecs.Ages()["carl"]
vecs.Ages()[3]
m = vecs.Ages(); m["carl"] = 5; m["carl"]
m = vecs.Ages(); del m["ann"]; len(m)
vecs.Map_string_int({"a": 1})
vecs.Map_string_int({"a": "b"})
vecs.Series()["a"]
vecs.SumSeries(vecs.Series())
m = vecs.Map_string_Slice_float64(); m["x"] = vecs.Float64s(3); vecs.SumSeries(m)
vecs.Global()
vecs.Answer()
vecs.Size
vecs.Set_Answer(43); [vecs.Answer(), vecs.Set_Answer(42)]
vecs.SumGlobal()
vecs.NilSlice()
len(vecs.NilSlice())
list(vecs.NilSlice())
s = vecs.NilSlice(); s.append(1.0); s
vecs.IsNil(vecs.NilSlice())
vecs.IsNil(go.Slice_float64())
vecs.IsNil(go.nil)
vecs.IsNilBytes(go.nil)
vecs.IsNilKeeper(go.nil)
vecs.IsNilKeeper(vecs.NilKeeper())
go.nil.handle
vecs.SumFloat64s(go.nil)
vecs.Check(vecs.Float64s(0))
vecs.Check(vecs.Float64s(1))
vecs.CheckedSum(vecs.Float64s(0))
vecs.CheckedSum(vecs.Float64s(3))
vecs.Checked(vecs.Float64s(0))
vecs.Checked(vecs.Float64s(3))
vecs.CheckedKeeper(vecs.Float64s(0))
vecs.SumFloat64s()
vecs.SumFloat64s(vecs.Float64s(3), 4)
vecs.SumFloat64s(y=vecs.Float64s(3))
vecs.SumFloat64s(x=vecs.Float64s(3))
vecs.Scaled(vecs.Float64s(3), "a")
vecs.Scaled(scale=2.0, x=vecs.Float64s(3))
vecs.Mixed("abc", vecs.Float64s(3), 2.0, vecs.Float32s(3))
vecs.Mixed(1, vecs.Float64s(3), 2.0, vecs.Float32s(3))
vecs.Keyword(vecs.Float64s(3), 2.0)
vecs.Unnamed(vecs.Float64s(3), 2)
vecs.Variadic()
vecs.Variadic(1, 2, 3)
vecs.Variadic(*[1.5] * 3)
vecs.Variadic(*np.arange(3.0))
vecs.Variadic("a")
vecs.Variadic([1.0])
vecs.VariadicSlices(vecs.Float64s(3), vecs.Float64s(4))
vecs.VariadicSlices()
got = []; vecs.Map(vecs.Float64s(3), got.append); got
got = []; [vecs.CallBack(vecs.Float64s(3), got.append), got]
vecs.Map(vecs.Float64s(3), 5)
s = vecs.Float64s(3); vecs.DoubleFloat64s(s); s
s = vecs.Float64s(3); vecs.DoubleFloat64s(s, False); s
s = vecs.Float64s(3); vecs.DoubleFloat64s(s, goRun=False); s
s = vecs.Float64s(3); vecs.Later(s, 1, goRun=True)
a = vecs.Float64s(3); vecs.AddTo(go.Slice_float64([0, 0, 0]), a, a)
s = vecs.Float64s(4); vecs.Half(s)[0] = 9.0
s = vecs.Float64s(4); h = vecs.Half(s); h[0] = 9.0; s
vecs.Last(vecs.Float64s(3))
vecs.RowsOf(vecs.Float64s(6), 2)
vecs.ByName(vecs.Float64s(2))
vecs.Grid(2, 3)
vecs.Grid(2, 3)[1]
vecs.Grid(2, 3)[1][2]
vecs.Grid(2, 3)[0:1]
vecs.Ragged(3)
vecs.SumGrid(vecs.Grid(2, 3))
g = vecs.Grid(2, 3); g.append(vecs.Float64s(1)); g[2]
g = vecs.Grid(2, 3); g[0] = vecs.Float64s(1); g[0]
vecs.Slice_Slice_float64([vecs.Float64s(2), vecs.Float64s(3)])
vecs.Red(vecs.Picture(4, 3), 1, 2)
vecs.Red(vecs.Inner(vecs.Picture(4, 3), 1, 1, 3, 3), 1, 1)
type(vecs.Picture(4, 3)).__name__
more.NewStation(3)
more.NewStation(3).Today
more.NewStation(3).Mean()
more.Mean(vecs.Temperatures(3))
more.Grown(vecs.Points(2), 1.0)
more.Station(Name="x", Today=vecs.Temperatures(2)).Mean()
np.asarray(vecs.Float64s(3)).tolist()
np.asarray(vecs.Ints(3)).dtype
np.asarray(vecs.Bools(3)).tolist()
np.asarray(vecs.Strings(3))
np.asarray(vecs.Grid(2, 3)).tolist()
np.asarray(vecs.Separate(2, 3)).tolist()
np.asarray(vecs.Triples(2)).tolist()
np.asarray(vecs.Small()).tolist()
np.asarray(vecs.Tags(2)).dtype
np.asarray(vecs.PointPointers(2)).shape
np.asarray(vecs.NewAcc(3)).dtype
np.asarray(vecs.Points(3)[1]).shape
np.asarray(vecs.Ages()).dtype
np.asarray(vecs.AnySummer(3)).dtype
np.asarray(go.nil).dtype
np.array([vecs.NewAcc(3), vecs.NewAcc(4)]).shape
np.array([vecs.Float64s(2), vecs.Float64s(2)]).tolist()
np.array(vecs.Float64s(3), "f4")
np.sum(vecs.Float64s(4))
np.add(vecs.Float64s(3), 1)
np.arange(3.0) + vecs.Float64s(3)
np.float64(2) * np.asarray(vecs.Float64s(3))
np.fromiter(vecs.Float64s(3), "f8")
import array; array.array("d", vecs.Float64s(3))
import json; json.dumps(list(vecs.Ints(3)))
import json; json.dumps(vecs.Ints(3))
import math; math.fsum(vecs.Float64s(4))
callable(vecs.Float64s(1))
import weakref; weakref.ref(vecs.Float64s(3))()
""".strip().splitlines()

#: Where pybuf means to differ: what it gives, and why.
DIFFERENT = {
    "vecs.SumFloat64s([1.0])": (
        "TypeError",
        "gopy says that a list has no attribute 'handle'",
    ),
    "vecs.SumFloat64s(5)": ("TypeError", "so of any other object"),
    "vecs.Acc(Data=5)": ("TypeError", "it says what Go wants"),
    "a = vecs.Acc(); a.Data = [1.0]": ("TypeError", "it says what Go wants"),
    "a = vecs.Acc(); a.Data = 5": ("TypeError", "it says what Go wants"),
    "p = vecs.Points(3); p.append(5)": ("TypeError", "it says what Go wants"),
    'm = vecs.Map_string_Slice_float64(); m["x"] = 3': ("TypeError", "it says what Go wants"),
    "g = vecs.Grid(2, 3); g[0] = 5": ("TypeError", "it says what Go wants"),
    "g = vecs.Grid(2, 3); g.append(5)": ("TypeError", "it says what Go wants"),
    "vecs.Slice_Slice_float64([1.0])": ("TypeError", "it says what Go wants"),
    "with vecs.Float64s(3) as s: pass": ("NoneType None", "what lend() gives ends so"),
    "vecs.SumFloat64s(np.zeros(3))": ("float 0.0", "an array is lent"),
    "vecs.SumFloat64s(None)": ("float 0.0", "None is what Python has for nil"),
    "vecs.IsNil(None)": ("bool True", "None is what Python has for nil"),
    "a = vecs.Acc(); a.Data = np.ones(3); a.Sum()": ("float 3.0", "an array is copied"),
    "np.asarray(vecs.Float32s(3)).dtype": (
        "Float32DType dtype('float32')",
        "not float64, of Python's floats",
    ),
    "np.asarray(vecs.Int8s(3)).dtype": (
        "Int8DType dtype('int8')",
        "not int64, of Python's ints",
    ),
    "np.asarray(vecs.Points(2)).dtype.names": (
        "tuple ('X', 'Y')",
        "not an array of objects",
    ),
    "np.asarray(vecs.Picture(2, 3)).shape": ("tuple (3, 2, 4)", "not an object"),
    "np.asarray(vecs.NilSlice()).dtype": ("Float64DType dtype('float64')", "it was so"),
    "int(vecs.Ints(1))": ("ValueError", "Python reads a number from the text in a buffer"),
    "float(vecs.Float64s(1))": ("ValueError", "so it does here"),
    "memoryview(vecs.Float64s(3)).nbytes": ("int 24", "it is a buffer"),
    "len(bytearray(vecs.Ints(2)))": (
        "int 16",
        "it is a buffer before it is a sequence of ints",
    ),
}


def told(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = re.sub(r"(handle[:=] ?)\d+", r"\1N", text)
    text = re.sub(r"0x[0-9a-f]+", "0xN", text)
    return re.sub(r"\bgopy_(plain|vecs)\b", "gopy", f"{type(value).__name__} {text}")


def outcome(code: str, package: Any) -> str:
    """What code gives, or how it fails, with what differs in any two processes cut off."""
    names = {"vecs": package.vecs, "go": package.go, "more": package.more, "np": np}
    body = ast.parse(code).body
    try:
        result = None
        last = body.pop()
        exec(compile(ast.Module(body, []), "code", "exec"), names)
        if isinstance(last, ast.Expr):
            result = eval(compile(ast.Expression(last.value), "code", "eval"), names)
        else:
            exec(compile(ast.Module([last], []), "code", "exec"), names)
        return told(result)
    except Exception as error:
        return told(error)


@pytest.mark.parametrize("code", SAME)
def test_it_is_as_with_gopy_alone(code: str, gopy_plain: Any, gopy_vecs: Any, vecs: Any):
    assert outcome(code, gopy_vecs) == outcome(code, gopy_plain)


@pytest.mark.parametrize("code", DIFFERENT)
def test_it_differs_as_it_should(code: str, gopy_vecs: Any, vecs: Any):
    expected, _ = DIFFERENT[code]
    got = outcome(code, gopy_vecs)
    assert got.startswith(expected) if expected.endswith("Error") else got == expected
