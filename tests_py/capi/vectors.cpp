// vectors.cpp: a pybind11 module that gives std::vectors to Python.
//
// A vector moves to the heap, and its release deletes it there: nothing is copied.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <atomic>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "pybuf.h"

namespace py = pybind11;

namespace {

std::atomic<long> deleted{0};

template <typename T>
void delete_vector(const void *, size_t, void *arg)
{
    delete static_cast<std::vector<T> *>(arg);
    ++deleted;
}

template <typename T>
py::object lend(std::vector<T> &&from, std::vector<Py_ssize_t> shape,
                const char *format, int flags)
{
    auto *v = new std::vector<T>(std::move(from));
    PyObject *made =
        pybuf_wrap(v->data(), static_cast<int>(shape.size()), shape.data(),
                   nullptr, format, flags, delete_vector<T>, v);
    if (made == nullptr) {
        throw py::error_already_set();
    }
    return py::reinterpret_steal<py::object>(made);
}

std::vector<double> counted(Py_ssize_t n)
{
    if (n < 0) {
        throw std::out_of_range("a vector has no negative size");
    }
    std::vector<double> v(static_cast<size_t>(n));
    std::iota(v.begin(), v.end(), 0.0);
    return v;
}

struct Trade {
    int32_t id;
    double price;
};

// Lends its samples in its own name: the views keep it.
class Recording {
public:
    explicit Recording(Py_ssize_t n) : samples(counted(n)) {}
    ~Recording() { ++deleted; }
    static py::object view(const py::object &self, int flags)
    {
        auto &samples = self.cast<Recording &>().samples;
        auto n = static_cast<Py_ssize_t>(samples.size());
        PyObject *made = pybuf_wrap_owned(samples.data(), 1, &n, nullptr, "d",
                                          flags, self.ptr());
        if (made == nullptr) {
            throw py::error_already_set();
        }
        return py::reinterpret_steal<py::object>(made);
    }

private:
    std::vector<double> samples;
};

} // namespace

PYBIND11_MODULE(vectors, m)
{
    if (pybuf_import() < 0) {
        throw py::error_already_set();
    }
    m.def("array", [](Py_ssize_t n) {
        return lend(counted(n), {n}, "d", PYBUF_ARRAY);
    });
    m.def("buffer", [](Py_ssize_t n) {
        return lend(counted(n), {n}, "d", PYBUF_READONLY);
    });
    m.def("grid", [](Py_ssize_t n, Py_ssize_t k) {
        return lend(counted(n * k), {n, k}, "d", PYBUF_ARRAY);
    });
    m.def("trades", [](int n) {
        std::vector<Trade> v;
        for (int i = 0; i < n; i++) {
            v.push_back({i, 0.5 * i});
        }
        return lend(std::move(v), {n}, "T{<i:id:4x<d:price:}", PYBUF_ARRAY);
    });
    m.def("shaped", [](std::vector<Py_ssize_t> shape, const char *format) {
        return lend(counted(8), std::move(shape), format, PYBUF_ARRAY);
    });
    m.def("deleted", [] { return deleted.load(); });
    py::class_<Recording>(m, "Recording")
        .def(py::init<Py_ssize_t>())
        .def("view", &Recording::view);
}
