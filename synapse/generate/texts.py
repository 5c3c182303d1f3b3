"""Message texts in Portuguese, expanded from templates into fixed pools."""

from itertools import product

import pyarrow as pa

from synapse.generate.frames import pool

_TOPICS = (
    "uma viagem para Salvador", "o orçamento da casa", "a prova de matemática", "um currículo",
    "a festa da minha filha", "uma receita sem glúten", "o contrato de aluguel", "meu treino",
    "a declaração do imposto de renda", "um e-mail para o chefe", "uma planilha de vendas",
    "a reunião de segunda-feira", "um presente de aniversário", "a redação do ENEM",
    "o plano de estudos", "a lista do mercado", "um roteiro para o Rio", "a fatura do cartão",
    "uma mensagem de parabéns", "o cardápio da semana",
)  # fmt: skip
_ASKS = (
    "Oi! Você me ajuda com {topic}?",
    "Preciso de ideias para {topic}, rápido.",
    "Bom dia! Queria entender melhor {topic}.",
    "Pode resumir o que falamos sobre {topic}?",
    "Não gostei da resposta sobre {topic}. Tenta de novo?",
    "Como eu começo {topic} do zero?",
    "Me dá três opções para {topic}?",
    "Quanto custa em média {topic}?",
    "Reescreve isso de um jeito mais simples: {topic}.",
    "Valeu! E sobre {topic}, o que você sugere?",
    "Qual o erro mais comum em {topic}?",
    "Tem como deixar {topic} mais curto?",
)
_OPENINGS = (
    "Claro! Sobre {topic}, eu começaria assim:",
    "Boa pergunta. Pensando em {topic}, considere o seguinte:",
    "Entendi. Para {topic}, o caminho mais simples é este:",
    "Sem problema, vamos por partes com {topic}:",
    "Aqui vai um resumo sobre {topic}:",
)
_BODIES = (
    "primeiro defina o objetivo, depois o prazo e por fim quanto quer gastar.",
    "faça uma lista do que já tem, corte o que sobra e peça ajuda no que faltar.",
    "1) anote o essencial; 2) compare duas opções; 3) decida hoje e revise amanhã.",
    "posso montar um rascunho agora e você ajusta o que não combinar com o seu jeito.",
    "vale conferir os dados com uma fonte oficial antes de decidir qualquer coisa.",
    "separei três sugestões curtas, da mais barata para a mais completa.",
)
_SYSTEM = (
    "Você é uma assistente educada que responde em português do Brasil.",
    "Responda em até três parágrafos e nunca peça senhas nem documentos.",
    "O cliente fala pelo WhatsApp: prefira frases curtas.",
)

USER_TEXTS: pa.Array = pool([ask.format(topic=topic) for ask, topic in product(_ASKS, _TOPICS)])
ASSISTANT_TEXTS: pa.Array = pool(
    [
        f"{opening.format(topic=topic)} {body}"
        for opening, body, topic in product(_OPENINGS, _BODIES, _TOPICS)
    ]
)
SYSTEM_TEXTS: pa.Array = pool(_SYSTEM)
REDACTED = "[mensagem removida a pedido da pessoa]"

_OFFSETS = (0, len(USER_TEXTS), len(USER_TEXTS) + len(ASSISTANT_TEXTS))
MESSAGE_TEXTS: pa.Array = pool(
    [*USER_TEXTS.to_pylist(), *ASSISTANT_TEXTS.to_pylist(), *SYSTEM_TEXTS.to_pylist(), REDACTED]
)
"""Every text a message can have; a code into it is what the simulation carries."""
TEXT_SPANS = (
    (_OFFSETS[0], len(USER_TEXTS)),
    (_OFFSETS[1], len(ASSISTANT_TEXTS)),
    (_OFFSETS[2], len(SYSTEM_TEXTS)),
)
"""By role code (user, assistant, system): first code and number of codes."""
REDACTED_CODE = len(MESSAGE_TEXTS) - 1
