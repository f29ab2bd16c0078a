// The vocabulary of avx512.h with AMX's tiles as tiles.h wants them.
//
// Tiles: Intel SDM volume 1, chapter 18. A thread may use them once the process has asked the
// kernel for their state; see has_amx() in base/cpu.cpp.
#pragma once

#include "base/inline.h"
#include "simd/avx512.h"

namespace quant {

struct Amx : Avx512 {
  static constexpr int kInt8Rows = 16;
  static constexpr int kInt8Columns = 32;

  /// One at a time on a thread: the end of one is the end of all shapes. Compilers use no tile
  /// registers of their own, so the statements below clobber none.
  template <int Columns, class X = int8_t>
  class Tiles {
   public:
    explicit Tiles(int rest) {
      Shapes shapes{};
      shapes.palette = 1;
      for (int slot = 0; slot < 2; ++slot) {
        const int inputs = slot == 0 || rest == 0 ? kInt8Rows : rest;
        shapes.set(kProduct + slot, inputs, 64);
        shapes.set(kInputs + slot, inputs, Columns);
        shapes.set(kWeights + slot, Columns / 4, 64);
      }
      __asm__ volatile("ldtilecfg %0" ::"m"(shapes));
    }
    ~Tiles() { __asm__ volatile("tilerelease"); }
    Tiles(const Tiles&) = delete;
    Tiles& operator=(const Tiles&) = delete;

    template <int Slot>
    QUANT_INLINE void clear() const {
      __asm__ volatile("tilezero %%tmm%c0" ::"i"(kProduct + Slot));
    }
    template <int Slot>
    QUANT_INLINE void add(const void* x, size_t x_stride, const void* w, size_t w_stride) const {
      load<kInputs + Slot>(x, x_stride);
      load<kWeights + Slot>(w, w_stride);
      multiply<Slot>();
    }
    /// Adds the products of what the slot's tiles hold once more.
    template <int Slot>
    QUANT_INLINE void multiply() const {
      if constexpr (X(-1) < X(0)) {
        __asm__ volatile("tdpbssd %%tmm%c0, %%tmm%c1, %%tmm%c2" ::"i"(kWeights + Slot),
                         "i"(kInputs + Slot), "i"(kProduct + Slot));
      } else {
        __asm__ volatile("tdpbusd %%tmm%c0, %%tmm%c1, %%tmm%c2" ::"i"(kWeights + Slot),
                         "i"(kInputs + Slot), "i"(kProduct + Slot));
      }
    }
    template <int Slot>
    QUANT_INLINE void store(int32_t (*out)[16]) const {
      __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(out), "r"(64L), "i"(kProduct + Slot)
                       : "memory");
    }

   private:
    /// Tiles of slot 0; those of slot 1 follow.
    static constexpr int kProduct = 0;
    static constexpr int kInputs = 2;
    static constexpr int kWeights = 4;

    template <int Tile>
    QUANT_INLINE void load(const void* from, size_t stride) const {
      __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(Tile)
                       : "memory");
    }

    /// What ldtilecfg reads.
    struct Shapes {
      uint8_t palette;
      uint8_t start_row;
      uint8_t reserved[14];
      uint16_t bytes[16];  // of a row
      uint8_t rows[16];

      void set(int tile, int n_rows, int row_bytes) {
        rows[tile] = static_cast<uint8_t>(n_rows);
        bytes[tile] = static_cast<uint16_t>(row_bytes);
      }
    };
    static_assert(sizeof(Shapes) == 64);
  };
};

}  // namespace quant
