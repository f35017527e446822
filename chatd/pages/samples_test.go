package pages

// A sample is what people say in one language, for the pictures of the pages.
type sample struct {
	owner, visitor, subject string
	talk                    [5]string
}

func samples() map[string]sample {
	return map[string]sample{
		"en": {"Alice Example", "Bob Brown", "Offer for the roof", [5]string{
			"Good morning! I read your offer. Does the price include the scaffolding? (https://example.org/scaffolding_(tower))",
			"It does, for two weeks: see https://example.com/offers/roof.",
			"If it rains and we need longer, that is on us. Would the first week of March suit you?",
			"Perfect.", "Then please send me the contract",
		}},
		"ja": {"高橋 美咲", "佐藤 健太郎", "屋根の葺き替え工事のお見積りについて（第二案）", [5]string{
			"おはようございます。お見積りを拝見しました。足場の費用は含まれていますか？ (https://example.org/scaffolding_(tower))",
			"はい、二週間分が含まれています。https://example.com/offers/roof をご覧ください。",
			"雨で工期が延びた場合の追加費用は、こちらで負担いたします。三月の第一週のご都合はいかがでしょうか。",
			"大丈夫です。", "では、契約書をお送りください",
		}},
		"ko": {"김민서", "이도윤", "지붕 교체 공사 견적서를 보내 드립니다(두 번째 안)", [5]string{
			"안녕하세요! 견적서를 잘 읽었습니다. 비계 비용도 포함되어 있나요? (https://example.org/scaffolding_(tower))",
			"네, 2주분이 포함되어 있습니다. https://example.com/offers/roof 를 참고해 주세요.",
			"비가 와서 기간이 길어지더라도 추가 비용은 저희가 부담합니다. 3월 첫째 주는 괜찮으신가요?",
			"좋습니다.", "그럼 계약서를 보내 주세요",
		}},
	}
}
