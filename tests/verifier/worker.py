"""Answers many verifications in one process: arguments separated by tabs in a line of standard input, "code TAB report" in a line out."""
import sys
import traceback

import evident_verify


def main():
    for line in sys.stdin:
        try:
            code, report = evident_verify.run(line.rstrip("\n").split("\t"))
        except evident_verify.Usage as wrong:
            code, report = 64, str(wrong)
        except Exception:                                    # a defect of the verifier: the test shows it as a code that nothing else gives
            code, report = 1, traceback.format_exc()
        print("%d\t%s" % (code, report.replace("\n", " | ")), flush=True)


if __name__ == "__main__":
    main()
