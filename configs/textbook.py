"""Does the textbook gate help? σ(Q·K)⊙V behind one convolution, σ ∈ {sigmoid, softmax, relu}.

The article that introduced the network calls the gate "clearly better" and gives no number. A
Keras run of the same network, one seed, gave 58.3 % without a gate, 58.4 % with the sigmoid gate
and 40.7 % with the softmax gate.

Command:   regard compare configs/textbook.py
Hardware:  2 CPU cores will do; a run takes 2 to 4 minutes on one core.
Duration:  28 runs, about 90 minutes on one core; with three gates, 7 seeds are the fewest of which
           an exact test can say anything.
Result:    none 58.6 %, sigmoid −2.65 points [−3.25, −2.06], softmax −6.40 [−7.07, −5.72],
           relu −5.80 [−6.24, −5.37]: the gate harms this network (docs/results.md)
"""

from regard.compare import Study
from regard.train import plain_adam

study = Study(
    name="textbook",
    data="cifar10",
    models=("textbook_cnn",),
    attention=(
        'qk_gate(activation="sigmoid")',
        'qk_gate(activation="softmax")',
        'qk_gate(activation="relu")',
    ),
    seeds=7,
    recipe=plain_adam(epochs=10),
    options={"augment": None},
)
