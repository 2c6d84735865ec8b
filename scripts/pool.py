# Four workers, each with a buffer for a moment: the example of the README.
import multiprocessing

def work(mib):
    return len(bytearray(mib << 20))

if __name__ == "__main__":
    with multiprocessing.Pool(4) as pool:
        print(sum(pool.map(work, [40, 60, 80, 100] * 2)))
