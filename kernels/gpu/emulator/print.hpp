// printf and assert of a kernel: what its author puts in first when something is wrong.
#pragma once
#include <string>

#include "memory.hpp"

namespace emulator {

inline std::string read_text(u64 address, u32 site) {
  std::string text;
  while (const char c = load<char>(generic(address++, 1, READ, site))) text += c;
  return text;
}

// The values lie one after another, each aligned to its size: 8 bytes for floats, pointers and long integers, else 4.
struct Values {
  u64 address;
  u32 site;
  template <class T>
  T next() {
    address = (address + sizeof(T) - 1) / sizeof(T) * sizeof(T);
    const T value = load<T>(generic(address, sizeof(T), READ, site));
    address += sizeof(T);
    return value;
  }
};

inline void print_one(const std::string& conversion, Values& values, u32 site) {
  const char kind = conversion.back();
  const bool is_long = conversion.find_first_of("ljzt") != std::string::npos;
  if (strchr("eEfFgGaA", kind)) printf(conversion.c_str(), values.next<double>());
  else if (kind == 's') printf(conversion.c_str(), read_text(values.next<u64>(), site).c_str());
  else if (kind == 'p' || is_long) printf(conversion.c_str(), values.next<u64>());
  else if (strchr("diouxXc", kind)) printf(conversion.c_str(), values.next<u32>());
  else fail(site, "printf: the emulator does not know the conversion %s", conversion.c_str());
}

u32 print(u64 format, u64 address, u32 site) {
  const std::string text = read_text(format, site);
  Values values{address, site};
  u32 count = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%' || text.compare(i, 2, "%%") == 0) {
      putchar(text[i]);
      i += text[i] == '%';
      continue;
    }
    const size_t last = std::min(text.find_first_not_of("%-+ #0123456789.hljzt", i), text.size() - 1);
    print_one(text.substr(i, last - i + 1), values, site);
    ++count;
    i = last;
  }
  fflush(stdout);
  return count;
}

[[noreturn]] void assertion_failed(u64 condition, u32 site) {
  fail(site, "assertion failed: %.300s", read_text(condition, site).c_str());
}

}  // namespace emulator
