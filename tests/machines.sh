#!/usr/bin/env bash
# Runs the tests marked `machines` as if on other processors: the variables tell PyTorch, MKL, OpenBLAS and numba
# which instructions to use. One line a setting; what a failed one said follows. PY: the Python to use.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

settings=(
    "nothing set"
    ATEN_CPU_CAPABILITY=default
    ATEN_CPU_CAPABILITY=avx2
    MKL_ENABLE_INSTRUCTIONS=SSE4_2
    MKL_ENABLE_INSTRUCTIONS=AVX2
    OPENBLAS_CORETYPE=Haswell
    OPENBLAS_CORETYPE=SkylakeX
    NUMBA_CPU_NAME=generic
)

try() {
    local said status=0
    said=$(mktemp)
    mapfile -t files < <(grep -rl "mark\.machines" tests --include="*.py")
    [[ $1 == *=* ]] && export "$1"
    OMP_NUM_THREADS=1 "${PY:-.venv/bin/python}" -m pytest -q -m "machines and not slow" -p no:cacheprovider "${files[@]}" >"$said" 2>&1 || status=1
    printf '%-32s %s\n' "$1" "$(tail -1 "$said")"
    ((status == 0)) || cat "$said"
    rm -f "$said"
    return $status
}
export -f try

echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo 2>/dev/null | head -1)"
printf '%s\0' "${settings[@]}" | xargs -0 -n 1 -P 2 bash -c 'try "$0"'
