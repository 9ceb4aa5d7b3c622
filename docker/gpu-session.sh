#!/usr/bin/env bash
# A quarter of an hour on an NVIDIA card, prepared: neither Go nor a network is needed on the card's machine.
#
#   docker/gpu-session.sh --build DIR            here: the program, this script and the processor's numbers, into DIR
#   DIR/gpu-session.sh --out OUT [PART…]         there: the parts named, or all, each within its own time
#   docker/gpu-session.sh --dry OUT              here: both, on the processor, small; under five minutes
#
# Parts, by what they tell first:
#   doctor   the card, the driver, the plugin, its libraries, a product of matrices
#   check    ten training steps and one sampling call against the processor's numbers
#   device   images a second, share of a matrix product's speed, the host's share, memory
#   bench    the quick benchmark, with wall time and table
#   torch    the same networks in PyTorch, in the same session
#   study    the 70 runs of notebooks/results/headline32, 32x32, ten at a time: goes on where the last call stopped
# A part writes OUT/PART.log while it runs; OUT/session.txt has a line for each. What is unfinished goes on when called again
# with the same OUT. OUT stays flat and small: results are JSON and logs, runs are kept in one archive.
#
# Settings, by environment: GPU_NETWORKS, GPU_ROWS and GPU_COMPUTE (of device and torch), GPU_CHECK (networks), GPU_WORKERS (runs of the study at a time), GPU_LIMIT (seconds that a part may take, over its
# own), GPU_WORK (where runs and caches lie; a new folder beside OUT), GPU_PYTHON (a Python with the packages).
set -uo pipefail
{ # read as a whole before it runs

die() {
	echo "gpu-session: $*" >&2
	exit 2
}

here=$(cd "$(dirname "$0")" && pwd)

# build DIR NETWORK,NETWORK: what the card's machine needs.
build() {
	local dir=$1 networks=$2
	command -v go >/dev/null || die "--build needs Go; build on a machine that has it and carry the folder"
	mkdir -p "$dir" || exit 1
	dir=$(cd "$dir" && pwd)
	(
		set -e
		cd "$here/.."
		commit=$(git rev-parse HEAD 2>/dev/null || true)
		[ -z "$commit" ] || [ -z "$(git status --porcelain --untracked-files=no)" ] || commit=$commit+
		CGO_ENABLED=1 go build -trimpath -ldflags "-s -w -X palimpsest/pkg/host.commit=$commit" -o "$dir/palimpsest" .
		cp docker/gpu-session.sh "$dir/"
		[ -s "$dir/processor.json" ] || "$dir/palimpsest" perf check --networks "$networks" --write "$dir/processor.json"
		gzip -9 -n -f "$dir/palimpsest"
	) || die "the build failed"
	du -sh "$dir"
}

# plugin prints the CUDA plugin among the packages of a Python.
plugin() {
	"$1" - <<'PYTHON'
import glob, os, site, sys, sysconfig
for folder in dict.fromkeys([sysconfig.get_path("platlib"), sysconfig.get_path("purelib"), *site.getsitepackages(), *sys.path]):
    for found in sorted(glob.glob(os.path.join(folder, "jax_plugins", "xla_cuda1*", "xla_cuda_plugin.so")), reverse=True):
        sys.exit(print(found))
PYTHON
}

# within SECONDS NAME: a part, its log and the line that tells of it.
within() {
	local seconds=${GPU_LIMIT:-$1} name=$2 start=$SECONDS code
	echo "== $name (at most $seconds s)"
	timeout --kill-after=10 "$seconds" "$here/gpu-session.sh" --part "$name" >>"$out/$name.log" 2>&1
	code=$?
	[ $code = 124 ] || [ $code = 137 ] && echo "stopped after $seconds s" >>"$out/$name.log"
	printf '%s\t%s\t%s s\n' "$name" "$([ $code = 0 ] && echo ok || echo "FAILED with $code")" $((SECONDS - start)) | tee -a "$out/session.txt"
	tail -n "${GPU_TAIL:-25}" "$out/$name.log"
	[ $code = 0 ] || failed="$failed $name"
}

part_doctor() {
	nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm,power.limit --format=csv
	grep -m1 'model name' /proc/cpuinfo
	nproc
	ldd --version | head -1
	echo "backend: $GOMLX_BACKEND; XLA_FLAGS: ${XLA_FLAGS:-none}; python: $python"
	for package in jax_plugins nvidia nvidia/cu13 nvidia/cu13/nvvm triton/backends/nvidia/bin; do
		ls -d "$site/$package" "$site/$package"/* 2>/dev/null | tr '\n' ' '
	done
	echo
	ls -d /usr/local/cuda* /usr/local/cuda/nvvm/libdevice/* 2>/dev/null
	"$program" doctor || true # Go and Jupyter are missing, which nothing here needs
	echo '{"what":"product","compute":"float32","for":0.5}' | "$program" perf case
}

part_check() { "$program" perf check --networks "$check" --against "$here/processor.json"; }

part_device() {
	"$program" perf --device --networks "$networks" --rows-of-steps "$rows" --compute "$compute" --limit 120s --store "$out/device"
}

part_bench() {
	"$program" bench --dir "$work/bench" --store "$out/results" $bench &&
		cp "$work/bench/report.html" "$out/bench.html"
}

part_torch() {
	"$python" -c 'import torch' || return 1
	"$program" perf --device --networks "$networks" --rows-of-steps "$torchrows" --compute "$compute" --peers torch --python "$python" --rounds "${GPU_ROUNDS:-3}" --store "$out/torch"
}

part_study() {
	# Kernels of one small run leave most of a card idle. NVIDIA's MPS, where it is there, lets those of several processes run side by side.
	if command -v nvidia-cuda-mps-control >/dev/null; then
		export CUDA_MPS_PIPE_DIRECTORY=$work/mps CUDA_MPS_LOG_DIRECTORY=$work/mps-log
		mkdir -p "$CUDA_MPS_PIPE_DIRECTORY" "$CUDA_MPS_LOG_DIRECTORY"
		nvidia-cuda-mps-control -d && trap 'echo quit | nvidia-cuda-mps-control' EXIT
	fi
	"$program" bench --dir "$work/study" --workers "${GPU_WORKERS:-10}" --strategies finetune,er,joint --sweep lambda=1,0.3,0.1,0.03,0.01 --sweep buffer=20 \
		--set benchmark.prep.size=32 --set benchmark.prep.method=pad --set loop.steps_per_task=450 --seeds 10 --store "$out/results"
}

session() {
	[ -s "$here/palimpsest.gz" ] && [ -s "$here/processor.json" ] || die "$here lacks the program or the processor's numbers; make it with --build"
	failed=
	mkdir -p "$out" || exit 1
	out=$(cd "$out" && pwd)
	work=${GPU_WORK:-$out/../gpu-work}
	mkdir -p "$work" && work=$(cd "$work" && pwd) || exit 1
	program=$work/palimpsest
	[ "$program" -nt "$here/palimpsest.gz" ] || { gunzip -c "$here/palimpsest.gz" >"$program" && chmod +x "$program"; } || exit 1
	python=${GPU_PYTHON:-$(command -v python3 || true)}
	[ -n "$python" ] || die "no python3 here; set GPU_PYTHON to one that has the packages jax-cuda13-pjrt and nvidia's"
	site=
	if [ -z "${GOMLX_BACKEND:-}" ]; then
		found=$(plugin "$python")
		[ -n "$found" ] || die "the packages of $python have no CUDA plugin of XLA; install jax-cuda13-pjrt with its NVIDIA libraries, or set GPU_PYTHON"
		export GOMLX_BACKEND=xla:$found
		site=$(dirname "$(dirname "$(dirname "$found")")")
	fi
	export TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-2} # errors of XLA belong into the logs
	# What XLA found out about a convolution in one process serves the next; another machine's may be laid there before.
	mkdir -p "$work/autotune"
	export XLA_FLAGS="${XLA_FLAGS:-} --xla_gpu_per_fusion_autotune_cache_dir=$work/autotune"
	export PALIMPSEST_CACHE=${GPU_CACHE:-$work/cache}
	networks=${GPU_NETWORKS:-tiny,small,ddpm} rows=${GPU_ROWS:-32,128,512} torchrows=${GPU_TORCH_ROWS:-128} compute=${GPU_COMPUTE:-float32,bfloat16}
	opens=${GPU_OPENS:-} # "yes": a call before this one has seen that the card computes
	check=${GPU_CHECK:-$(sed -n 's/.*"networks":\[//;s/{"network":"\([a-z]*\)"/\n@\1\n/gp' "$here/processor.json" | sed -n 's/^@//p' | paste -sd,)}
	bench=${GPU_BENCH:-}
	export out work program python site networks rows torchrows compute check bench
	for part in "$@"; do
		if [ "$part" != doctor ] && [ -z "$opens" ]; then # pure Go in the card's place would take hours to say little
			echo '{"what":"product","compute":"float32","for":0.1}' | timeout 90 "$program" perf case >"$out/opens.log" 2>&1 ||
				{ cat "$out/opens.log"; die "$GOMLX_BACKEND does not compute; the part doctor says more"; }
			opens=yes
		fi
		case $part in
		doctor) within 150 doctor ;;
		check) within 150 check ;;
		device) within 400 device ;;
		bench) within 300 bench ;;
		torch) within 500 torch ;;
		study) within 570 study ;;
		*) die "no part is called $part; choose of: doctor check device bench torch study" ;;
		esac
	done
	[ -z "$failed" ] || { echo "failed:$failed"; exit 1; }
}

case ${1:-} in
--build)
	[ $# = 2 ] || die "--build needs one folder"
	build "$2" "${GPU_NETWORKS:-tiny,small,ddpm}"
	;;
--out)
	[ $# -ge 2 ] || die "--out needs a folder"
	out=$2
	shift 2
	[ $# -gt 0 ] || set -- doctor check device bench torch study
	session "$@"
	;;
--part) # what --out calls, with what it found out in the environment
	"part_$2"
	;;
--dry)
	[ $# = 2 ] || die "--dry needs a folder for what it writes"
	out=$2
	mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 1
	(cd "$here/.." && go run . setup --no-lab --no-completion) || die "the plugin for the processor could not be installed"
	build "$out/carried" tiny
	export GOMLX_BACKEND=${GOMLX_BACKEND:-xla:cpu} GPU_NETWORKS=tiny GPU_ROWS=8 GPU_COMPUTE=float32 GPU_TAIL=8 GPU_WORK=$out/work
	GPU_CACHE=${PALIMPSEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/palimpsest} \
		GPU_BENCH="--strategies finetune,er --sweep lambda=1 --set loop.steps_per_task=2 --set evaluate.samples_per_task=20 --set evaluate.allow_small_n=true --set evaluate.sampler.steps=2" \
		"$out/carried/gpu-session.sh" --out "$out" doctor check device bench
	;;
*)
	sed -n '2,/^set -/p' "$0" | sed '$d;s/^# \{0,1\}//'
	exit 2
	;;
esac
exit
}
